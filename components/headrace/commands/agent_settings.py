"""`headrace agents set|history|revert`: settings of a running agent, its prompts among them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from headrace.commands.agents import carry_out
from headrace.commands.common import (
    AgentName,
    AsJson,
    DeclarationFile,
    Patience,
    StackName,
    console,
    moment,
    print_json,
    reported,
)
from headrace.errors import HeadraceError
from headrace.operations.agent_settings import (
    Version,
    changed,
    history,
    in_force,
    note,
    note_answer,
    parse_changes,
    reverted,
)
from headrace.operations.agents import find_agent, running_job
from headrace.operations.control import new_command
from headrace.operations.session import only_one
from headrace.operations.stack import Stack
from headrace_agents.control import SettingsChange

SHOWN_CHARS = 60

Why = Annotated[str, typer.Option("--why", help="For the history.")]


def set_(
    name: AgentName,
    changes: Annotated[
        list[str], typer.Argument(metavar="FIELD=VALUE...", help="FIELD=@FILE takes a file's text.")
    ],
    why: Why = "",
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Change settings of a running agent, its prompts among them, without a savepoint or a restart.

    Runs that start from then on have them; decisions carry the version that made them. Settings that were
    set before stay; FIELD=null puts one back to what is declared. What the agent's class does not take is
    refused, and nothing is changed.

    [dim]headrace agents set support-triage task=@triage.txt[/]
    [dim]headrace agents set order-risk held_above=2500 --why "chargebacks"[/]
    """
    with reported():
        given = parse_changes(changes)
        _put(name, lambda versions: changed(versions, given, why), stack, file, timeout, as_json=as_json)


def revert(
    name: AgentName,
    version: Annotated[
        int | None, typer.Argument(metavar="[VERSION]", help="The one before otherwise; 0: as declared.")
    ] = None,
    why: Why = "",
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Set what an earlier version had, as a new one.

    [dim]headrace agents revert support-triage[/]
    [dim]headrace agents revert order-risk 0 --why "back to the declaration"[/]
    """
    with reported():
        _put(name, lambda versions: reverted(versions, version, why), stack, file, timeout, as_json=as_json)


def show_history(
    name: AgentName,
    stack: StackName = "local",
    file: DeclarationFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the versions of an agent's settings: when, by whom, why, and what was different.

    [dim]headrace agents history support-triage[/]
    [dim]headrace agents history order-risk --json | jq '.[-1].patch'[/]
    """
    with reported():
        versions = history(find_agent(Stack.find(stack, file).plan, name).spec)
        if as_json:
            print_json([each.as_json() for each in versions])
        elif versions:
            console.print(_view(name, versions))
        else:
            console.print(f"{name}: settings are as declared, and always were")


def _put(
    name: str,
    make: Callable[[Sequence[Version]], SettingsChange],
    stack: str,
    file: DeclarationFile,
    timeout: str | None,
    *,
    as_json: bool,
) -> None:
    found = Stack.find(stack, file)
    agent = find_agent(found.plan, name)
    running_job(found, agent)
    with only_one(found.files, f"settings-{name}"):
        change = make(history(agent.spec))
        note(agent.spec, change)
        hearing = carry_out(found, agent, new_command("configure", settings=change), timeout)
        if hearing.problems:
            reasons = sorted({problem.reason for problem in hearing.problems})
            note_answer(agent.spec, change, refused=reasons[0])
            raise HeadraceError(f"{name}: {'; '.join(reasons)}. Nothing was changed")
        note_answer(agent.spec, change)
    if as_json:
        print_json({"agent": name, **change.model_dump(mode="json")})
        return
    said = "as declared" if not change.patch else escape(_short(change.patch))
    console.print(f"{name}: version {change.version} is in force: {said}", soft_wrap=True)


def _view(name: str, versions: Sequence[Version]) -> Table:
    now = in_force(versions)
    table = Table(title=f"Settings of {name}", title_justify="left")
    for column in ("version", "at", "by", "over the declaration", "why", ""):
        table.add_column(column, overflow="fold")
    for each in versions:
        state = "[green]in force[/]" if each is now else ""
        if each.state == "unconfirmed":
            state = "[yellow]unconfirmed[/]"
        if each.state == "refused":
            state = f"[red]refused:[/] {escape(each.refused[:SHOWN_CHARS])}"
        table.add_row(
            str(each.number),
            moment(each.at_ms),
            escape(each.change.by),
            escape(_short(each.change.patch)) if each.change.patch else "-",
            escape(each.change.why),
            state,
        )
    return table


def _short(patch: object) -> str:
    text = json.dumps(patch, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."
