"""`headrace upgrades`: what became of agents' upgrades."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from headrace.commands.common import AsJson, DeclarationFile, StackName, console, group, print_json, reported
from headrace.operations.stack import Stack
from headrace.operations.upgrade_history import shown, upgrade, upgrades
from headrace.upgrades.record import Upgrade

app = group("What became of agents' upgrades: proofs, gaps, gates, and what was undone.")

Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        envvar="KUBECONFIG",
        help="The way to the cluster of a stack on AWS: one file.",
    ),
]

COLOURS = {"upgraded": "green", "rolled_back": "red", "refused": "red"}
MOST_EVENTS = 20
"""Shown of those that are not in memory; ``--json`` has all."""


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One agent; all otherwise.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest, that many.")] = 20,
    stack: StackName = "local",
    file: DeclarationFile = None,
    kubeconfig: Kubeconfig = None,
    as_json: AsJson = False,
) -> None:
    """List upgrades, the newest first.

    [dim]headrace upgrades list[/]
    [dim]headrace upgrades list --stack prod --kubeconfig ~/.kube/config[/]
    [dim]headrace upgrades list support-triage --json | jq '.[] | select(.outcome == "rolled_back")'[/]
    """
    with reported():
        found = upgrades(Stack.find(stack, file), kubeconfig, name)[:limit]
        if as_json:
            print_json([shown(each) for each in found])
            return
        console.print(_table(found) if found else "no agent was upgraded yet")


@app.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `list` has it, or an agent: its newest.")],
    stack: StackName = "local",
    file: DeclarationFile = None,
    kubeconfig: Kubeconfig = None,
    as_json: AsJson = False,
) -> None:
    """Show one upgrade: what was proved, the gap and where it went, the gate's figures, what was undone.

    [dim]headrace upgrades show support-triage[/]
    [dim]headrace upgrades show support-triage-20261128T031112.781 --json | jq .caught_up[/]
    """
    with reported():
        found = upgrade(Stack.find(stack, file), kubeconfig, id_)
        if as_json:
            print_json(shown(found))
            return
        table = Table(title=found.id, title_justify="left", show_header=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for what, said in _lines(found):
            table.add_row(what, said)
        console.print(table)


def _table(found: list[Upgrade]) -> Table:
    table = Table(title="Upgrades", title_justify="left")
    for column in ("upgrade", "by", "began", "outcome"):
        table.add_column(column, overflow="fold")
    table.add_column("gap", justify="right")
    table.add_column("why", overflow="fold")
    for each in found:
        table.add_row(
            each.id,
            each.by,
            _moment(each.started_at_ms),
            _outcome(each),
            f"{each.gap.total_s:.1f} s" if each.gap else "-",
            each.reason.partition("\n")[0] or "-",
        )
    return table


def _lines(found: Upgrade) -> Iterator[tuple[str, str]]:
    yield "outcome", _outcome(found)
    if found.reason:
        yield "why", found.reason
    yield "by", found.by
    yield "began", _moment(found.started_at_ms)
    if found.ended_at_ms:
        yield "took", f"{(found.ended_at_ms - found.started_at_ms) / 1000:.0f} s"
    if found.proof:
        entries = ", ".join(f"{count} {kind}" for kind, count in found.proof.get("entries", {}).items())
        yield "proof", f"{entries or 'nothing in state'}, read in {found.proof.get('seconds', 0):.1f} s"
    if found.cutover and found.cutover.snapshot:
        yield "cutover", found.cutover.snapshot
    if gap := found.gap:
        parts = f"stop {gap.stop_s:.1f}, submit {gap.submit_s:.1f}, start {gap.start_s:.1f}"
        if gap.wind_down_s is not None:
            yield "runs ended", f"within {gap.wind_down_s:.1f} s, while none was started"
        yield "gap", f"{gap.total_s:.1f} s: {parts}"
        if gap.decisions_s is not None:
            yield "between decisions", f"{gap.decisions_s:.1f} s"
    yield from _gate(found)
    yield from _undone(found)


def _undone(found: Upgrade) -> Iterator[tuple[str, str]]:
    undone = found.caught_up
    if undone is None:
        return
    yield (
        "undone",
        (
            f"{undone.decided} events were decided by the undone version, {undone.dead_lettered} of them"
            f" dead letters; {undone.in_memory} are in memory"
        ),
    )
    for event in undone.not_in_memory[:MOST_EVENTS]:
        yield "not in memory", event
    if (more := len(undone.not_in_memory) - MOST_EVENTS) > 0:
        yield "", f"{more} more: --json"
    if undone.unreported:
        yield "not told of", f"{undone.unreported} events"


def _gate(found: Upgrade) -> Iterator[tuple[str, str]]:
    if not found.looks:
        return
    last = found.looks[-1]
    before, after = found.conduct, last.conduct
    yield "watched", f"{last.seconds:.0f} s: {last.checkpoints} checkpoints, {last.failures} failures"
    yield "events", f"{after.events} decided, {last.backlog} waited at the end"
    yield "dead letters", f"{after.dead_letter_share:.2%}, before {before.dead_letter_share:.2%}"
    yield "a run's cost", f"${after.dollars_per_run:.6f}, before ${before.dollars_per_run:.6f}"


def _outcome(found: Upgrade) -> str:
    said = (found.outcome or f"interrupted while {found.phase}").replace("_", " ")
    colour = COLOURS.get(found.outcome or "", "yellow")
    return f"[{colour}]{said}[/]"


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
