"""`headrace drill`: a running local stack is broken on purpose, and its recovery is held to the objective."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from headrace.commands.common import (
    FAILED,
    AsJson,
    DeclarationFile,
    Patience,
    StackName,
    console,
    duration_s,
    errors,
    print_json,
    reported,
)
from headrace.operations.demo import heard_rows, touching
from headrace.operations.drill import Kill, break_and_watch, objective_s, patience_s, refuse_broken
from headrace.operations.recovery_report import Report
from headrace.operations.session import session
from headrace.operations.stack import Stack

FLINKS = (Kill.WORKER, Kill.TASKMANAGER, Kill.JOBMANAGER)
DEMO_LOAD_PER_S = 10.0
INTERRUPTED = 130

Kills = Annotated[
    list[Kill] | None,
    typer.Option(
        "--kill",
        "-k",
        help=f"May be given several times: one after the other. Otherwise {', '.join(FLINKS)}.",
    ),
]
Load = Annotated[
    float | None,
    typer.Option(
        "--load",
        min=0,
        metavar="EVENTS_PER_SECOND",
        help=f"The drill's own load, beside what comes anyway: {DEMO_LOAD_PER_S:.0f} where the stack has demo"
        " rows, else 0. It updates demo rows to what they are: agents get an event each, no row changes.",
    ),
]


def drill(
    kill: Kills = None,
    load: Load = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Break a running local stack under load, and hold its recovery to `recovery.max_recovery`.

    One process of each kind that is named is ended with `kill -9`. Three times are told, all in seconds from the kill:

    [bold]detection[/]: until Flink's JobManager takes notice of a lost TaskManager or worker; of the others, until the supervisor has started another process

    [bold]restore[/]: until what was killed serves, and every task of every affected job runs again from the newest completed checkpoint

    [bold]catch-up[/]: until an event from after the restore is decided, and the oldest undecided event is as young as it was before; for each agent that decides something

    The objective is met when the last is within it and everything runs at the end; otherwise the exit status is 1. The supervisor and Flink heal what was killed also when the drill is interrupted.

    [dim]headrace drill --stack local[/]
    [dim]headrace drill --kill taskmanager --kill broker --yes --json | jq .met[/]
    [dim]headrace drill --kill storage --load 0[/]
    """  # noqa: E501 (help is wrapped where it is shown, and only a line of one piece is)
    with reported():
        found = Stack.find(stack, file)
        kills = tuple(kill or FLINKS)
        with session(found.files):
            refuse_broken(found)
            if not yes:
                question = f"Kill {', '.join(kills)} of stack {found.name}, one after the other?"
                typer.confirm(question, abort=True, err=True)
            reports = _drills(found, kills, load, duration_s(timeout, "--timeout") if timeout else None)
        if as_json:
            met = all(each.met for each in reports)
            print_json({"stack": found.name, "met": met, "drills": [each.as_json() for each in reports]})
        else:
            console.print(_view(found, reports))
            for each in reports:
                _explain(found, each)
    if len(reports) < len(kills) or not all(each.met for each in reports):
        raise typer.Exit(FAILED)


def _drills(
    stack: Stack, kills: tuple[Kill, ...], per_second: float | None, wait_s: float | None
) -> list[Report]:
    """One after the other; the last is the first after which something is missing."""
    reports: list[Report] = []
    try:
        with _load(stack, per_second):
            for kill in kills:
                reports.append(break_and_watch(stack, kill, wait_s or patience_s(stack), _say))
                if reports[-1].missing:
                    break
    except KeyboardInterrupt:
        errors.print(
            "interrupted; what was killed comes back by itself: "
            f"`headrace status --stack {stack.name}` shows whether everything runs"
        )
        raise typer.Exit(INTERRUPTED) from None
    return reports


def _load(stack: Stack, per_second: float | None) -> AbstractContextManager[None]:
    if per_second is None:
        per_second = DEMO_LOAD_PER_S if heard_rows(stack) else 0
    return touching(stack, per_second) if per_second else nullcontext()


def _say(what: str) -> None:
    errors.print(what, style="dim", highlight=False)


def _view(stack: Stack, reports: list[Report]) -> Table:
    title = f"Seconds from the kill; the objective is {objective_s(stack):g} s"
    table = Table(title=title, title_justify="left")
    table.add_column("killed")
    for column in ("detection", "restore", "catch-up", "oldest undecided, before", "after"):
        table.add_column(column, justify="right")
    table.add_column("objective")
    for each in reports:
        seconds = each.detection_s, each.restore_s, each.catch_up_s, each.usual_oldest_s, each.oldest_s
        verdict = "[green]met[/]" if each.met else "[red]missed[/]"
        table.add_row(each.killed, *("-" if s is None else f"{s:.1f}" for s in seconds), verdict)
    return table


def _explain(stack: Stack, found: Report) -> None:
    for job in found.jobs:
        if job.lost_ground:
            errors.print(
                f"[red]{job.agent} was restored from checkpoint {job.restored_from}; "
                f"{job.newest} was complete before the kill[/]"
            )
    for what in found.missing:
        errors.print(f"[red]{found.killed}: does not run at the end: {escape(what)}[/]", soft_wrap=True)
    if found.missing:
        errors.print(f"`headrace status --stack {stack.name}`, logs in {stack.files.root / 'log'}")
