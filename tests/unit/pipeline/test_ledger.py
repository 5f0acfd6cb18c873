"""The ledger says what is wrong with a chronicle's book, and nothing about a right one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from headrace_agents.records import EventRef, Outcome, Position, Reason, Times, decision_id, reminder_position
from headrace_testing_agents.replaying import REMINDED_EVERY, chained
from tests.pipeline.ledger import AgentBook, Book, Record, violations
from tests.pipeline.load import TICKETS, Change

AGENT, TOPIC, CUSTOMER = "chronicle", "support.public.tickets", 7
KEY = json.dumps({"customer_id": CUSTOMER}).encode()
TIMES = Times(
    committed_at_ms=None, kafka_at_ms=0, accepted_at_ms=0, started_at_ms=0, finished_at_ms=0, emitted_at_ms=0
)
SOMEWHERE = Position("out", 0, 0)
EVENTS = REMINDED_EVERY + 1
REMINDED_BY = Position(TOPIC, 0, REMINDED_EVERY - 1)
"""The event that sets the only reminder."""


def record(value: dict[str, Any] | str, position: Position = SOMEWHERE) -> Record:
    text = value if isinstance(value, str) else json.dumps(value)
    return Record(position, 0, KEY, text.encode(), {})


def row(number: int) -> dict[str, Any]:
    return {"id": number, "customer_id": CUSTOMER, "subject": "", "body": f"{number}.", "status": "open"}


def change(offset: int) -> Record:
    return record({"op": "c", "before": None, "after": row(offset)}, Position(TOPIC, 0, offset))


def decision(position: Position, kind: str, content: dict[str, Any]) -> Record:
    return record(
        {
            "id": decision_id(AGENT, position, 0),
            "agent": AGENT,
            "key": {"customer_id": CUSTOMER},
            "event": position._asdict(),
            "index": 0,
            "kind": kind,
            "decision": content,
            "decided_at_ms": 0,
        }
    )


def outcome(position: Position, origin: Position | None = None) -> Outcome:
    return Outcome(
        agent=AGENT,
        **position._asdict(),
        origin=None if origin is None else EventRef(**origin._asdict()),
        status="decided",
        decisions=(decision_id(AGENT, position, 0),),
        reason=None,
        times=TIMES,
        model_calls=1,
    )


def right_book() -> Book:
    """Each event decided, and the reminder after them."""
    digest, decisions, outcomes = "", [], []
    for offset in range(EVENTS):
        digest = chained(digest, "create", offset, f"{offset}.")
        position = Position(TOPIC, 0, offset)
        content = {"ticket_id": offset, "number": offset + 1, "digest": digest, "urgency": "low"}
        decisions.append(decision(position, "Noted", content))
        outcomes.append(outcome(position))
    reminder = reminder_position(AGENT, REMINDED_BY, 0)
    decisions.append(decision(reminder, "Reminded", {"number": REMINDED_EVERY, "times": 1}))
    outcomes.append(outcome(reminder, REMINDED_BY))
    agent = AgentBook(
        inputs=frozenset([TOPIC]),
        outcomes=[record(each.model_dump_json()) for each in outcomes],
        decisions=decisions,
        dead_letters=[],
        entry_point="headrace_testing_agents.agents:Chronicle",
        key=("customer_id",),
    )
    return Book([change(offset) for offset in range(EVENTS)], {TOPIC: TICKETS}, {AGENT: agent})


def found(book: Book, may_fail: tuple[Reason, ...] = ()) -> list[str]:
    committed = [Change(TICKETS, "c", CUSTOMER, row(offset), 0.0) for offset in range(EVENTS)]
    return violations(book, committed, may_fail)


def with_agent(**changes: Any) -> Book:
    book = right_book()
    return replace(book, agents={AGENT: replace(book.agents[AGENT], **changes)})


def without_its_reminder() -> Book:
    agent = right_book().agents[AGENT]
    return with_agent(outcomes=agent.outcomes[:-1], decisions=agent.decisions[:-1])


def with_a_reminder_twice() -> Book:
    agent = right_book().agents[AGENT]
    return with_agent(
        outcomes=[*agent.outcomes, agent.outcomes[-1]], decisions=[*agent.decisions, agent.decisions[-1]]
    )


def with_a_forgotten_event() -> Book:
    """As if memory had lost the first event before the second one."""
    agent = right_book().agents[AGENT]
    second = Position(TOPIC, 0, 1)
    content = {"ticket_id": 1, "number": 1, "digest": chained("", "create", 1, "1."), "urgency": "low"}
    said = decision(second, "Noted", content)
    return with_agent(decisions=[agent.decisions[0], said, *agent.decisions[2:]])


def dead_lettered(reason: Reason) -> Book:
    """The last event was not decided."""
    agent = right_book().agents[AGENT]
    last = Position(TOPIC, 0, EVENTS - 1)
    dead = outcome(last).model_copy(update={"status": "dead_lettered", "decisions": (), "reason": reason})
    headers = {f"headrace.{name}": str(value).encode() for name, value in last._asdict().items()}
    event = change(last.offset)
    letter = replace(event, headers={**headers, "headrace.reason": reason.encode()})
    outcomes = [*agent.outcomes[:-2], record(dead.model_dump_json()), agent.outcomes[-1]]
    decisions = [*agent.decisions[:-2], agent.decisions[-1]]
    return with_agent(outcomes=outcomes, decisions=decisions, dead_letters=[letter])


def test_a_right_book_has_no_violation() -> None:
    assert found(right_book()) == []


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (without_its_reminder, "no outcome: Position(topic='reminder/"),
        (with_a_reminder_twice, "2 outcomes: Position(topic='reminder/"),
        (with_a_reminder_twice, "of which [] wait"),
        (with_a_forgotten_event, "memory of (7,)"),
    ],
)
def test_what_is_wrong_is_said(made: Callable[[], Book], said: str) -> None:
    assert any(said in violation for violation in found(made()))


def test_a_change_may_fail_for_the_reasons_given_alone() -> None:
    assert any("was not decided" in violation for violation in found(dead_lettered("deadline")))
    assert found(dead_lettered("deadline"), ("deadline",)) == []
    assert found(dead_lettered("malformed"), ("deadline",)) != []
