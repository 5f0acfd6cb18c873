"""`headrace state`: what is kept of agents' state in storage: listed, looked into, cleaned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.markup import escape

from headrace.commands.common import (
    AgentName,
    AsJson,
    DeclarationFile,
    StackName,
    console,
    group,
    print_json,
    progress,
    reported,
)
from headrace.operations.agents import find_agent
from headrace.operations.stack import Stack
from headrace.operations.state import Described, DescribedOperator, Listed, describe, list_snapshots
from headrace.operations.state_cleaning import Findings, clean, find
from headrace.plan.model import StackPlan

SHOWN_ORPHANS = 50
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400

app = group("List, look into and clean up what is kept of agents' state in storage.")

SomeAgent = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="One agent, as it is declared; all without it.")
]
Snapshot = Annotated[
    str | None,
    typer.Option("--snapshot", metavar="PATH", help="As `list` has it; otherwise the one `up` goes on from."),
]
Keys = Annotated[
    bool, typer.Option(help="Count keys and versions, for which all of the agent's state is fetched.")
]
DropHistory = Annotated[
    bool,
    typer.Option(
        "--history",
        help="Also savepoints past the declared history, and checkpoints that a later job's replaced.",
    ),
]


@app.command("list")
def list_(
    name: SomeAgent = None,
    stack: StackName = "local",
    file: DeclarationFile = None,
    as_json: AsJson = False,
) -> None:
    """List retained checkpoints and savepoints, newest first, with age and size.

    [dim]headrace state list[/]
    [dim]headrace state list support-triage --json | jq '.[0].path'[/]
    """
    with reported():
        found = Stack.find(stack, file)
        snapshots = list_snapshots(found, _known(found, name))
        if as_json:
            print_json([each.as_json() for each in snapshots])
        else:
            _print(_snapshot_lines(snapshots))
            console.print(_history(found.plan, snapshots))


@app.command("describe")
def describe_(
    name: AgentName,
    snapshot: Snapshot = None,
    keys: Keys = True,
    stack: StackName = "local",
    file: DeclarationFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what a snapshot holds: operators, their states and sizes, keys, versions of the memory.

    [dim]headrace state describe support-triage[/]
    [dim]headrace state describe support-triage --json | jq '.operators[] | select(.bytes > 1000)'[/]
    """
    with reported():
        found = Stack.find(stack, file)
        described = describe(found, find_agent(found.plan, name).name, snapshot, keys=keys)
        if as_json:
            print_json(described.as_json())
        else:
            _show(described)


@app.command("clean")
def clean_(
    name: SomeAgent = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove it; otherwise it is only shown.")] = False,
    history: DropHistory = False,
    stack: StackName = "local",
    file: DeclarationFile = None,
    as_json: AsJson = False,
) -> None:
    """Find files that no retained checkpoint or savepoint refers to, and remove them with --yes.

    Refuses while anything is there that no declared agent owns, or that can't be understood.

    [dim]headrace state clean[/]
    [dim]headrace state clean support-triage --history --yes[/]
    """
    with reported():
        found = Stack.find(stack, file)
        agent = _known(found, name)
        if yes:
            with progress() as bar:
                shown = bar.add_task("removed", total=None)
                findings = clean(found, agent, drop_history=history, removed=lambda _: bar.advance(shown))
        else:
            findings = find(found, agent, drop_history=history)
        if as_json:
            print_json({"removed": yes, **findings.as_json()})
        else:
            _show_findings(findings, removed=yes)


def _known(stack: Stack, name: str | None) -> str | None:
    return None if name is None else find_agent(stack.plan, name).name


def _snapshot_lines(snapshots: Iterable[Listed]) -> Iterator[str]:
    """The path on a line of its own, whole in a terminal of any width: it is what `--snapshot` takes."""
    for each in snapshots:
        note = "[yellow]past the history[/]" if each.past else ""
        note = "[green]`up` goes on from it[/]" if each.newest else note
        yield (
            f"[bold]{each.complete.place.agent}[/]  {each.kind} {each.checkpoint}  {_age(each.age_s)} old  "
            f"{decimal(each.bytes)}  {note}"
        )
        yield f"  {each.complete.path}"


def _history(plan: StackPlan, snapshots: list[Listed]) -> str:
    savepoints = [each for each in snapshots if each.complete.place.kind == "savepoint"]
    past = sum(1 for each in snapshots if each.past)
    history = plan.state_storage.savepoints
    days = history.history_age_ms / 1000 / DAY_S
    kept = f"of an agent's the newest {history.history_count} are kept, for {days:g} days"
    said = f"{len(savepoints)} savepoints; {kept}"
    return f"{said}. {past} snapshots are past that: `headrace state clean --history`" if past else said


def _show(described: Described) -> None:
    _print(_snapshot_lines([described.listed]))
    for each in described.operators:
        if each.operator.size:
            _print(_operator_lines(each))
    without = sum(1 for each in described.operators if not each.operator.size)
    console.print(f"{without} operators have no state", style="dim")
    if described.unread:
        console.print(f"keys and versions are not known: {described.unread}", soft_wrap=True)
        return
    held = described.agent
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(held.entries.items())) or "nothing"
    versions = ", ".join(f"{count} of version {each}" for each, count in sorted(held.memory_versions.items()))
    console.print(f"the agent's state: {counts}" + (f"; memories: {versions}" if versions else ""))
    if held.unreadable:
        console.print(f"[yellow]{held.unreadable} entries are in a format that is not known[/]")


def _operator_lines(described: DescribedOperator) -> Iterator[str]:
    operator = described.operator
    groups = f", {described.key_groups} key groups" if described.key_groups else ""
    yield (
        f"[bold]{escape(operator.name)}[/]  uid {escape(operator.uid) or '-'}, id {operator.id}, "
        f"{operator.parallelism} subtasks{groups}, {decimal(operator.size)}"
    )
    for state in described.states:
        yield f"  {escape(state.state)}  [dim]{state.kind}  {escape(state.serializer)}[/]"
    if described.unknown:
        yield f"  [yellow]{escape(described.unknown)}[/]"


def _show_findings(findings: Findings, *, removed: bool) -> None:
    for orphan in findings.orphans[:SHOWN_ORPHANS]:
        console.print(
            f"{orphan.stored.path}  {decimal(orphan.stored.size)}  [dim]{orphan.why}[/]", soft_wrap=True
        )
    if (more := len(findings.orphans) - SHOWN_ORPHANS) > 0:
        console.print(f"and {more} more: --json has all")
    what = f"{len(findings.orphans)} objects, {decimal(findings.bytes)}"
    if removed:
        console.print(f"removed: {what}")
    else:
        console.print(f"would be removed: {what}" + ("; --yes does it" if findings.orphans else ""))
    minutes = findings.settle.total_seconds() / MINUTE_S
    console.print(
        f"left alone: {findings.live} in use, {findings.young} younger than {minutes:g} minutes that a "
        f"checkpoint may still need, {findings.task_owned} of tasks"
    )


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True)


def _age(seconds: float) -> str:
    for unit, size in (("d", DAY_S), ("h", HOUR_S), ("min", MINUTE_S)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
