"""`headrace deadletters`: events that could not be decided: listed, and replayed."""

from __future__ import annotations

from typing import Annotated, Any

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
    moment,
    print_json,
    progress,
    reported,
    since_ms,
)
from headrace.errors import HeadraceError
from headrace.operations.agents import find_agent, running_job
from headrace.operations.dead_letters import (
    Listed,
    Refusal,
    chosen,
    kafka_times,
    read_listed,
    refusals,
    replay_records,
    text,
    where,
)
from headrace.operations.outcomes import patience_s, write_and_wait
from headrace.operations.session import only_one
from headrace.operations.stack import Stack
from headrace_agents.records import Outcome, Position

SHOWN_CHARS = 80

app = group("List events that could not be decided, and try them again.")

Reason = Annotated[
    str | None,
    typer.Option("--reason", "-r", help="Only those with this reason: model_error, malformed, ..."),
]


@app.command("list")
def list_(
    name: AgentName,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest ones, that many.")] = 50,
    reason: Reason = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DURATION", help="Of the last 30m, 1h, 48h.")
    ] = None,
    stack: StackName = "local",
    file: DeclarationFile = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters: where they came from, why they are here, what became of their replays.

    [dim]headrace deadletters list support-triage --reason model_error --since 1h[/]
    [dim]headrace deadletters list support-triage --json | jq '.[].origin'[/]
    """
    with reported():
        agent = find_agent(Stack.find(stack, file).plan, name)
        begin_ms = since_ms(since, "--since") if since else None
        found = [
            each
            for each in read_listed(agent.spec, begin_ms)
            if reason is None or each.letter.reason == reason
        ]
        shown = found[-limit:]
        if as_json:
            print_json([each.as_json() for each in shown])
            return
        console.print(_list_view(name, shown))
        if len(shown) < len(found):
            errors.print(f"the newest {len(shown)} of {len(found)}; --limit shows more")


@app.command()
def replay(  # noqa: PLR0913, PLR0917 (each option is an argument)
    name: AgentName,
    positions: Annotated[
        list[str] | None,
        typer.Argument(metavar="[POSITION...]", help="PARTITION@OFFSET, as `list` shows it."),
    ] = None,
    reason: Reason = None,
    every: Annotated[bool, typer.Option("--all", help="All that have not been replayed.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait for the outcomes.")] = True,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Try dead letters again, per key in the order of their events, behind what waits already.

    A replay's decisions have the ids of the first event's. An event that was decided in a replay, or whose
    replay is not decided yet, is refused; one that became a dead letter again is not. With --reason and
    --all, what was replayed before is left out. Fails when a replay becomes a dead letter again.

    [dim]headrace deadletters replay support-triage 0@12 3@4[/]
    [dim]headrace deadletters replay support-triage --reason model_error[/]
    """
    with reported():
        if sum((bool(positions), reason is not None, every)) != 1:
            raise HeadraceError("say which dead letters: POSITION..., --reason REASON or --all, one of them")
        found = Stack.find(stack, file)
        agent = find_agent(found.plan, name)
        spec = agent.spec
        running_job(found, agent)
        with only_one(found.files, f"replay-{name}"):
            picked = chosen(read_listed(spec), positions or [], reason)
            refused = refusals(spec, picked)
            if refused and positions:
                raise HeadraceError("\n".join([*map(_refusal_text, refused), "Nothing was replayed"]))
            left_out = {each.letter for each in refused}
            picked = [each for each in picked if each.letter not in left_out]
            records = replay_records(picked, kafka_times(spec, picked))
            wait_s = duration_s(timeout, "--timeout") if timeout else patience_s(spec, len(records))
            with progress() as bar:
                shown = bar.add_task("replays", total=len(records))
                written, outcomes = (
                    write_and_wait(
                        spec,
                        spec.feedback.replays,
                        records,
                        lambda count: bar.update(shown, completed=count),
                        wait_s=wait_s if wait else 0,
                    )
                    if records
                    else ([], {})
                )
        if as_json:
            print_json(_replayed_json(name, written, outcomes, refused))
        else:
            _show_replayed(written, outcomes, refused)
        missing = len(written) - len(outcomes)
        if wait and missing:
            raise HeadraceError(
                f"{missing} of {len(written)} replays are not decided after {wait_s:.0f} s; they stay in "
                f"their queue. Is {name} paused? (`headrace agents resume {name}`) "
                f"`headrace deadletters list {name}` shows what becomes of them"
            )
    if any(outcome.status != "decided" for outcome in outcomes.values()):
        raise typer.Exit(FAILED)


def _refusal_text(refusal: Refusal) -> str:
    return f"{refusal.letter.number} ({where(refusal.letter.origin)}): {refusal.why}"


def _replayed_json(
    name: str, written: list[Position], outcomes: dict[Position, Outcome], refused: list[Refusal]
) -> dict[str, Any]:
    return {
        "agent": name,
        "replays": [
            {
                **position._asdict(),
                "outcome": outcomes[position].model_dump(mode="json") if position in outcomes else None,
            }
            for position in written
        ],
        "left_out": [{"position": each.letter.number, "why": each.why} for each in refused],
    }


def _show_replayed(
    written: list[Position], outcomes: dict[Position, Outcome], refused: list[Refusal]
) -> None:
    for position in written:
        outcome = outcomes.get(position)
        if outcome is None:
            console.print(f"{where(position)}  [yellow]not decided yet[/]")
            continue
        origin = where(outcome.origin.position) if outcome.origin else where(position)
        said = (
            f"[green]decided[/], {len(outcome.decisions)} decisions"
            if outcome.status == "decided"
            else f"[red]{outcome.status}: {outcome.reason or 'its key was erased'}[/]"
        )
        console.print(f"{origin}  {said}", soft_wrap=True)
    for refusal in refused:
        errors.print(f"[yellow]left out[/] {escape(_refusal_text(refusal))}", soft_wrap=True)
    console.print(f"{len(written)} replayed, {len(refused)} left out")


def _list_view(name: str, found: list[Listed]) -> Table:
    title = f"Dead letters of {name}" if found else f"{name} has no such dead letters"
    table = Table(title=title, title_justify="left")
    for column in ("position", "at", "reason", "detail", "key", "bytes", "origin", "replay"):
        table.add_column(column, overflow="fold")
    for each in found:
        letter = each.letter
        table.add_row(
            letter.number,
            moment(letter.at_ms),
            letter.reason,
            escape(letter.detail[:SHOWN_CHARS]),
            "-" if letter.key is None else escape(text(letter.key)[:SHOWN_CHARS]),
            str(letter.size),
            where(letter.origin),
            "-" if each.replay is None else (each.replay.status or "undecided"),
        )
    return table
