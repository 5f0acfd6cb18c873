"""`headrace agents`: commands to a running agent as a whole."""

from __future__ import annotations

from collections.abc import Callable

import typer
from rich.markup import escape
from rich.table import Table

from headrace.commands.common import (
    FAILED,
    AgentName,
    AsJson,
    DeclarationFile,
    Patience,
    StackName,
    console,
    duration_s,
    errors,
    group,
    print_json,
    progress,
    reported,
)
from headrace.operations.agents import find_agent, running_job
from headrace.operations.control import Hearing, new_command, patience_s, tell
from headrace.operations.stack import Stack
from headrace.plan.model import AgentPlan
from headrace_agents.control import Command, CommandKind, Report

SHOWN_PROBLEMS = 20

app = group("Pause, resume, drain, check, migrate and set a running agent.")


@app.command()
def pause(
    name: AgentName,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Start no run any more; runs in flight end, events wait in the agent's state. Survives restarts.

    [dim]headrace agents pause support-triage[/]
    [dim]headrace agents pause support-triage --timeout 30s --json[/]
    """
    with reported():
        _simple(Stack.find(stack, file), name, "pause", timeout, as_json=as_json)


@app.command()
def resume(
    name: AgentName,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Start runs again, after `pause` or `drain`: what waited goes first.

    [dim]headrace agents resume support-triage[/]
    """
    with reported():
        _simple(Stack.find(stack, file), name, "resume", timeout, as_json=as_json)


@app.command()
def drain(
    name: AgentName,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Decide what the agent has taken in so far, then start no run any more. Fails where a table is held.

    [dim]headrace agents drain support-triage --timeout 10m[/]
    """
    with reported():
        hearing = _simple(Stack.find(stack, file), name, "drain", timeout, as_json=as_json)
    if hearing.problems:
        errors.print("[red]error:[/] of tables that are held nothing is drained: see docs/capture.md")
        raise typer.Exit(FAILED)


@app.command()
def check(
    name: AgentName,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Read all of the agent's state: memory, inbox, journal, reminders. Fails when something can't be read.

    [dim]headrace agents check support-triage[/]
    [dim]headrace agents check support-triage --json | jq .problems[/]
    """
    with reported():
        hearing = _simple(Stack.find(stack, file), name, "check", timeout, as_json=as_json)
    _fail_for(hearing)


@app.command()
def migrate(
    name: AgentName,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Write every memory of an earlier version anew. Without it each is, when it is next changed.

    [dim]headrace agents migrate support-triage[/]
    """
    with reported():
        hearing = _simple(Stack.find(stack, file), name, "migrate", timeout, as_json=as_json)
    _fail_for(hearing)


def carry_out(
    stack: Stack,
    agent: AgentPlan,
    command: Command,
    timeout: str | None,
    each: Callable[[Report], None] | None = None,
) -> Hearing:
    """Tell a running agent's shards something, with a bar for people; `each` is given every report."""
    wait_s = duration_s(timeout, "--timeout") if timeout else patience_s(agent.spec, command.kind)
    running_job(stack, agent)
    with progress() as bar:
        shown = bar.add_task(f"{command.kind}: shards", total=agent.spec.shards)

        def heard(report: Report, hearing: Hearing) -> None:
            if each is not None:
                each(report)
            bar.update(shown, completed=len(hearing.done))

        return tell(agent.spec, command, wait_s, heard)


def problems_view(hearing: Hearing) -> Table:
    table = Table("what", "key", "reason", title="Problems", title_justify="left")
    for problem in hearing.problems[:SHOWN_PROBLEMS]:
        table.add_row(problem.what, escape(problem.key), escape(problem.reason))
    return table


_SAID = {
    "pause": "paused: no run starts, events wait; `headrace agents resume {name}` goes on",
    "resume": "resumed",
    "drain": "drained and paused: what was taken in is decided; `headrace agents resume {name}` goes on",
    "check": "checked",
    "migrate": "migrated",
}


def _simple(stack: Stack, name: str, kind: CommandKind, timeout: str | None, *, as_json: bool) -> Hearing:
    agent = find_agent(stack.plan, name)
    hearing = carry_out(stack, agent, new_command(kind), timeout)
    if as_json:
        print_json({"agent": name, **hearing.as_json()})
        return hearing
    counts = ", ".join(f"{count} {what}" for what, count in sorted(hearing.counts.items()))
    console.print(f"{name}: {_SAID[kind].format(name=name)}" + (f" ({counts})" if counts else ""))
    if hearing.problems:
        errors.print(problems_view(hearing))
    return hearing


def _fail_for(hearing: Hearing) -> None:
    if hearing.problems or hearing.counts["unreadable"]:
        count = hearing.counts["unreadable"] or len(hearing.problems)
        errors.print(
            f"[red]error:[/] {count} entries of state can't be read; they stay as they are. The agent's code "
            "must be able to read them: see docs/agents.md"
        )
        raise typer.Exit(FAILED)
