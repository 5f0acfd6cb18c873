"""`headrace reviews`: agents' questions to humans, and their answers."""

from __future__ import annotations

import getpass
import json
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
    group,
    moment,
    print_json,
    reported,
)
from headrace.errors import HeadraceError
from headrace.operations.agents import find_agent, running_job
from headrace.operations.dead_letters import kafka_times, read_listed, refusals, replay_records
from headrace.operations.keys import mapping_text
from headrace.operations.outcomes import patience_s, write_and_wait
from headrace.operations.reviews import Asked, answer_record, dead_letter_of, read_reviews, wants_replay
from headrace.operations.session import only_one
from headrace.operations.stack import Stack
from headrace_agents.records import Outcome, Position
from headrace_agents.spec import AgentJobSpec

app = group("List agents' questions to humans, and answer them.")


@app.command("list")
def list_(
    name: AgentName,
    only_open: Annotated[bool, typer.Option("--open", help="Only those without an answer.")] = False,
    stack: StackName = "local",
    file: DeclarationFile = None,
    as_json: AsJson = False,
) -> None:
    """List an agent's questions, the oldest first, with their answers.

    [dim]headrace reviews list support-triage --open[/]
    [dim]headrace reviews list support-triage --json | jq '.[].id'[/]
    """
    with reported():
        agent = find_agent(Stack.find(stack, file).plan, name)
        found = [each for each in read_reviews(agent.spec) if not (only_open and each.answers)]
        if as_json:
            print_json([each.as_json() for each in found])
        else:
            console.print(_list_view(name, found))


@app.command()
def answer(  # noqa: PLR0913, PLR0917 (each option is an argument)
    name: AgentName,
    review: Annotated[str, typer.Argument(metavar="REVIEW", help="The review's id, as `list` shows it.")],
    said: Annotated[str, typer.Option("--json", metavar="JSON", help="The answer, a JSON object.")],
    by: Annotated[str | None, typer.Option("--by", help="Who answers; you, otherwise.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Though it was answered before.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait for the outcome.")] = True,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
) -> None:
    """Answer a question: an event of the same key for the agent. Prints where it is and its outcome, as JSON.

    A question of kind ModelFailure is answered with {"replay": true}, which tries its event again, or
    {"replay": false}; the agent is not told.

    [dim]headrace reviews answer support-triage 3f0c... --json '{"approved": true}' --by ada[/]
    """
    with reported():
        found = Stack.find(stack, file)
        agent = find_agent(found.plan, name)
        spec = agent.spec
        running_job(found, agent)
        wait_s = duration_s(timeout, "--timeout") if timeout else patience_s(spec, 1)
        with only_one(found.files, f"answer-{name}"), only_one(found.files, f"replay-{name}"):
            asked = read_reviews(spec)
            record = answer_record(asked, review, said, _user() if by is None else by, again=again)
            # Before the answer, which closes the question: what is interrupted between can be answered again.
            replays = _replay(spec, asked, review) if wants_replay(review, said) else []
            written, outcomes = (
                write_and_wait(
                    spec, spec.feedback.replays, replays, lambda _: None, wait_s=wait_s if wait else 0
                )
                if replays
                else ([], {})
            )
            (position,), answers = write_and_wait(
                spec, spec.feedback.answers, [record], lambda _: None, wait_s=wait_s if wait else 0
            )
        outcomes |= answers
        said_json = _said_json(position, outcomes)
        print_json(said_json | {"replay": _said_json(written[0], outcomes)} if written else said_json)
        if wait and len(outcomes) < len(written) + 1:
            raise HeadraceError(
                f"the answer is given and not decided after {wait_s:.0f} s; it stays in its queue. Is {name} "
                f"paused? (`headrace agents resume {name}`)"
            )
    if any(outcome.status != "decided" for outcome in outcomes.values()):
        raise typer.Exit(FAILED)


def _replay(spec: AgentJobSpec, found: list[Asked], review: str) -> list[tuple[bytes | None, bytes]]:
    """The record that tries the event of a review again."""
    (asked,) = (each.review for each in found if each.review.id == review)
    letter = dead_letter_of(read_listed(spec), asked)
    for refused in refusals(spec, [letter]):
        raise HeadraceError(f"{refused.letter.number}: {refused.why}. Nothing was replayed or answered")
    return replay_records([letter], kafka_times(spec, [letter]))


def _said_json(position: Position, outcomes: dict[Position, Outcome]) -> dict[str, Any]:
    outcome = outcomes.get(position)
    return {
        **position._asdict(),
        "outcome": None if outcome is None else outcome.model_dump(mode="json"),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""  # a container's user may have no name


def _list_view(name: str, found: list[Asked]) -> Table:
    title = f"Reviews of {name}" if found else f"{name} has no such reviews"
    table = Table(title=title, title_justify="left")
    for column in ("id", "asked at", "kind", "key", "question", "answer"):
        table.add_column(column, overflow="fold")
    for each in found:
        review = each.review
        last = each.answers[-1] if each.answers else None
        table.add_row(
            review.id,
            moment(review.asked_at_ms),
            escape(review.kind),
            escape(mapping_text(review.key)),
            escape(json.dumps(review.question, ensure_ascii=False)),
            "-" if last is None else escape(f"{last.by}: {json.dumps(last.answer, ensure_ascii=False)}"),
        )
    return table
