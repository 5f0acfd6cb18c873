"""`headrace capture`: how sources are captured, and what to do when a slot is lost or ahead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from headrace.capture.abilities import refuse_on_aws
from headrace.commands.common import (
    AsJson,
    DeclarationFile,
    StackName,
    console,
    errors,
    group,
    print_json,
    reported,
)
from headrace.environment.units import MIB
from headrace.errors import HeadraceError
from headrace.operations.captured_sources import chosen
from headrace.operations.captures import Say, accept, captures, resnapshot, slot_of
from headrace.operations.stack import Stack
from headrace.plan.model import PostgresqlSourcePlan

app = group("How sources are captured: connectors, replication slots, and a slot that is lost.")
COLOURS = {"active": "green", "inactive": "yellow", "lost": "red", "absent": "red"}


@app.command()
def status(stack: StackName = "local", file: DeclarationFile = None, as_json: AsJson = False) -> None:
    """Show each source's connector and slot: what it lags behind, and the WAL that is kept for it.

    Exit status 1 where a slot is lost: nothing goes on from it.

    [dim]headrace capture status[/]
    [dim]headrace capture status --json | jq '.[] | select(.slot_state != "active")'[/]
    """
    with reported():
        found = captures(_able(stack, file, "status"))
        if as_json:
            print_json(found)
        else:
            console.print(_table(found))
            for each in found:
                for failure in each["failures"]:
                    console.print(f"[red]{escape(each['source'])}:[/] {escape(failure)}", soft_wrap=True)
            for orphan in dict.fromkeys(orphan for each in found for orphan in each["orphans"]):
                console.print(f"[yellow]orphan:[/] {escape(orphan)}", soft_wrap=True)
    lost = [each["source"] for each in found if each["slot_state"] == "lost"]
    if lost:
        errors.print(
            f"[red]lost:[/] {', '.join(lost)}: the server removed WAL that the slot needs, and what was"
            " changed since is in no topic. `headrace capture resnapshot NAME` reads the tables anew."
        )
        raise typer.Exit(1)


@app.command("resnapshot")
def resnapshot_(
    name: Annotated[str, typer.Argument(metavar="SOURCE", help="The source, as it is declared.")],
    stack: StackName = "local",
    file: DeclarationFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Capture a source anew: forget its connector's place, drop its slot, and read its tables from the start.

    For a slot that is lost. Agents see each row that is there once more, as a read. A row that came and went
    since the slot was lost, and the steps that led to how a row is now, are in no topic. Of a slot that is
    not lost, changes that were not read yet are given up in the same way.

    [dim]headrace capture resnapshot support[/]
    """
    with reported():
        found = _able(stack, file, "resnapshot")
        (source,) = chosen(found, [name])
        slot = slot_of(found, source)
        if not yes:
            _ask_first(name, is_lost=slot is None or slot.lost)
        _do(resnapshot, found, source, as_json=as_json)


@app.command("accept")
def accept_(
    name: Annotated[str, typer.Argument(metavar="SOURCE", help="The source, as it is declared.")],
    stack: StackName = "local",
    file: DeclarationFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Go on where a source's slot is, which is ahead of what its connector has stored.

    What was committed between the two is in no topic, and never will be. `headrace preflight` says whether
    a slot is ahead, and by how much; `headrace capture resnapshot` is the way that leaves no row out.

    [dim]headrace capture accept support[/]
    """
    with reported():
        found = _able(stack, file, "accept")
        (source,) = chosen(found, [name])
        if not yes:
            _confirm(
                f"{name}: what was committed before its slot's position, and is not captured, never comes."
            )
        _do(accept, found, source, as_json=as_json)


def _able(name: str, file: Path | None, ability: str) -> Stack:
    """Raises HeadraceError where its substrate can't do that."""
    found = Stack.find(name, file)
    if found.on_aws:
        refuse_on_aws(ability, found.name)
    return found


def _do(
    action: Callable[[Stack, PostgresqlSourcePlan, Say], None],
    stack: Stack,
    source: PostgresqlSourcePlan,
    *,
    as_json: bool,
) -> None:
    """What it says is shown as it comes, or at its end to programs."""
    said: list[str] = []
    action(stack, source, said.append if as_json else console.print)
    if as_json:
        print_json({"source": source.name, "done": said})


def _ask_first(name: str, *, is_lost: bool) -> None:
    warned = "" if is_lost else "its slot is NOT lost: what it holds and nobody read is given up. "
    _confirm(f"{name}: {warned}Every row comes once more, as a read.")


def _confirm(said: str) -> None:
    try:
        typer.confirm(f"{said} Go on?", abort=True, err=True)
    except typer.Abort:
        raise HeadraceError("nothing was changed; --yes goes on without asking") from None


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(title="Sources", title_justify="left")
    for column in ("source", "connector", "tasks", "slot"):
        table.add_column(column)
    for column in ("lag", "WAL kept", "of at most"):
        table.add_column(column, justify="right")
    for each in found:
        colour = COLOURS[each["slot_state"]]
        table.add_row(
            each["source"],
            f"{each['connector']} {each['state']}",
            ", ".join(each["tasks"]) or "none",
            f"[{colour}]{each['slot_state']}[/]",
            *(_mib(each[name]) for name in ("lag_bytes", "wal_kept_bytes", "wal_cap_bytes")),
        )
    return table


def _mib(size: int | None) -> str:
    return "-" if size is None else f"{size / MIB:,.1f} MiB"
