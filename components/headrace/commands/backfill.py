"""`headrace backfill`: how far backfills are, and pause, resume and cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from rich.table import Table

from headrace.commands.common import (
    AsJson,
    DeclarationFile,
    Patience,
    StackName,
    console,
    duration_s,
    group,
    moment,
    print_json,
    reported,
)
from headrace.operations.backfills import (
    Progress,
    backfills,
    cancel_backfill,
    find_backfill,
    pause_backfill,
    resume_backfill,
)
from headrace.operations.stack import Stack

WAIT_S = 60.0

app = group("See, pause, resume and cancel backfills; `up` starts those that are declared.")

BackfillId = Annotated[str, typer.Argument(metavar="ID", help="The backfill, as it is declared.")]
SourceName = Annotated[
    str | None, typer.Option("--source", metavar="NAME", help="The source; needed where an id is of several.")
]


@app.command("list")
def list_(
    source: SourceName = None,
    stack: StackName = "local",
    file: DeclarationFile = None,
    as_json: AsJson = False,
) -> None:
    """List backfills in the order in which they were started: state, rows, rate, and how long it takes yet.

    [dim]headrace backfill list --source support[/]
    [dim]headrace backfill list --json | jq '.[].state'[/]
    """
    with reported():
        found = backfills(Stack.find(stack, file), source)
        if as_json:
            print_json([each.as_json() for each in found])
        else:
            console.print(_list_view(found))


@app.command()
def status(
    backfill: BackfillId,
    source: SourceName = None,
    stack: StackName = "local",
    file: DeclarationFile = None,
    as_json: AsJson = False,
) -> None:
    """Show one backfill, table by table.

    [dim]headrace backfill status --source support customers-2026[/]
    """
    with reported():
        _show(find_backfill(Stack.find(stack, file), backfill, source), as_json=as_json)


@app.command()
def pause(
    backfill: BackfillId,
    source: SourceName = None,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Read no further; live changes go on, backfills that wait behind it do not.

    [dim]headrace backfill pause --source support customers-2026[/]
    """
    with reported():
        _tell(pause_backfill, Stack.find(stack, file), backfill, source, timeout, as_json=as_json)


@app.command()
def resume(
    backfill: BackfillId,
    source: SourceName = None,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Go on where it was paused.

    [dim]headrace backfill resume --source support customers-2026[/]
    """
    with reported():
        _tell(resume_backfill, Stack.find(stack, file), backfill, source, timeout, as_json=as_json)


@app.command()
def cancel(
    backfill: BackfillId,
    source: SourceName = None,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Stop it for good: what it read stays read, and `up` does not start it again.

    A pause of the source's backfills ends by it, as by `resume`.

    [dim]headrace backfill cancel --source support customers-2026[/]
    """
    with reported():
        _tell(cancel_backfill, Stack.find(stack, file), backfill, source, timeout, as_json=as_json)


def _tell(
    tell: Callable[[Stack, Progress, float], Progress],
    stack: Stack,
    backfill: str,
    source: str | None,
    timeout: str | None,
    *,
    as_json: bool,
) -> None:
    found = find_backfill(stack, backfill, source)
    wait_s = WAIT_S if timeout is None else duration_s(timeout, "--timeout")
    _show(tell(stack, found, wait_s), as_json=as_json)


def _show(found: Progress, *, as_json: bool) -> None:
    if as_json:
        print_json(found.as_json())
        return
    console.print(_list_view([found]))
    table = Table(title="Its tables", title_justify="left")
    for column in ("table", "state", "rows", "of about", "chunks", "why"):
        table.add_column(column, overflow="fold")
    for each in found.tables:
        about = "-" if each.total_rows is None else str(each.total_rows)
        table.add_row(each.table, each.state, str(each.rows), about, str(each.chunks), each.reason or "-")
    console.print(table)


def _list_view(found: list[Progress]) -> Table:
    table = Table(title="Backfills" if found else "no backfill is declared", title_justify="left")
    for column in ("source", "id", "state", "rows", "of about", "rows/s", "left", "started", "ended"):
        table.add_column(column, overflow="fold")
    for each in found:
        table.add_row(
            each.source,
            each.id,
            each.state,
            str(each.rows),
            "-" if each.total_rows is None else str(each.total_rows),
            "-" if each.rows_per_second is None else f"{each.rows_per_second:.0f}",
            "-" if each.seconds_left is None else f"{each.seconds_left:.0f} s",
            "-" if each.started_at_ms is None else moment(each.started_at_ms),
            "-" if each.ended_at_ms is None else moment(each.ended_at_ms),
        )
    return table
