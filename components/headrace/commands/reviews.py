"""`headrace reviews`: agents' questions to humans, and their answers."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from typing import Annotated

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
    print_json,
    reported,
)
from headrace.errors import HeadraceError
from headrace.operations.agents import find_agent, running_job
from headrace.operations.keys import mapping_text
from headrace.operations.outcomes import patience_s, write_and_wait
from headrace.operations.reviews import Asked, answer_record, read_reviews
from headrace.operations.session import only_one
from headrace.operations.stack import Stack

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

    [dim]headrace reviews answer support-triage 3f0c... --json '{"approved": true}' --by ada[/]
    """
    with reported():
        found = Stack.find(stack, file)
        agent = find_agent(found.plan, name)
        spec = agent.spec
        running_job(found, agent)
        with only_one(found.files, f"answer-{name}"):
            record = answer_record(
                read_reviews(spec), review, said, _user() if by is None else by, again=again
            )
            wait_s = duration_s(timeout, "--timeout") if timeout else patience_s(spec, 1)
            (position,), outcomes = write_and_wait(
                spec, spec.feedback.answers, [record], lambda _: None, wait_s=wait_s if wait else 0
            )
        outcome = outcomes.get(position)
        print_json(
            {
                **position._asdict(),
                "outcome": None if outcome is None else outcome.model_dump(mode="json"),
            }
        )
        if wait and outcome is None:
            raise HeadraceError(
                f"the answer is given and not decided after {wait_s:.0f} s; it stays in its queue. Is {name} "
                f"paused? (`headrace agents resume {name}`)"
            )
    if outcome is not None and outcome.status != "decided":
        raise typer.Exit(FAILED)


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
            datetime.fromtimestamp(review.asked_at_ms / 1000, UTC).isoformat(sep=" ", timespec="seconds"),
            escape(review.kind),
            escape(mapping_text(review.key)),
            escape(json.dumps(review.question, ensure_ascii=False)),
            "-" if last is None else escape(f"{last.by}: {json.dumps(last.answer, ensure_ascii=False)}"),
        )
    return table
