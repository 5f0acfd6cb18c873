"""Each change that an agent subscribes to has exactly one outcome, counted with `read_committed`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.pipeline.ledger import AgentBook, Book, violations
from tests.pipeline.plugin import Pipeline

AGENT = "support-triage"


def test_1000_inserts_200_updates_50_deletes_have_one_outcome_each(pipeline: Pipeline) -> None:
    before = len(pipeline.load.committed)
    pipeline.load.insert(500)
    pipeline.load.update(100)
    pipeline.load.delete(25)
    pipeline.load.insert(500, in_one_transaction=True)
    pipeline.load.update(100)
    pipeline.load.delete(25)
    tickets = sum(change.table == "public.tickets" for change in pipeline.load.committed[before:])
    assert tickets == 1250
    book = pipeline.verify()
    assert all(len(agent.outcomes) >= tickets for agent in book.agents.values())


def agent_of(book: Book) -> AgentBook:
    return book.agents[AGENT]


def with_agent(book: Book, agent: AgentBook) -> Book:
    return replace(book, agents={**book.agents, AGENT: agent})


def without_an_outcome(book: Book) -> Book:
    return with_agent(book, replace(agent_of(book), outcomes=agent_of(book).outcomes[1:]))


def with_an_outcome_twice(book: Book) -> Book:
    outcomes = agent_of(book).outcomes
    return with_agent(book, replace(agent_of(book), outcomes=[*outcomes, outcomes[-1]]))


def without_a_decision(book: Book) -> Book:
    return with_agent(book, replace(agent_of(book), decisions=agent_of(book).decisions[1:]))


def with_a_decision_twice(book: Book) -> Book:
    decisions = agent_of(book).decisions
    return with_agent(book, replace(agent_of(book), decisions=[*decisions, decisions[-1]]))


def with_outcomes_backwards(book: Book) -> Book:
    return with_agent(book, replace(agent_of(book), outcomes=agent_of(book).outcomes[::-1]))


def with_a_forgotten_ticket(book: Book) -> Book:
    """What the agent would say had it lost its memory."""
    decisions = [
        replace(record, value=(record.value or b"").replace(b'"tickets_seen":3', b'"tickets_seen":1'))
        for record in agent_of(book).decisions
    ]
    return with_agent(book, replace(agent_of(book), decisions=decisions))


def without_a_capture(book: Book) -> Book:
    return replace(book, changes=book.changes[:-1])


def with_a_capture_twice(book: Book) -> Book:
    return replace(book, changes=[*book.changes, book.changes[-1]])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (without_an_outcome, "no outcome"),
        (with_an_outcome_twice, "2 outcomes"),
        (without_a_decision, "is named and not there"),
        (with_a_decision_twice, "made 2 times"),
        (with_outcomes_backwards, "out of order"),
        (with_a_forgotten_ticket, "memory of ("),
        (without_a_capture, "committed and not captured"),
        (with_a_capture_twice, "captured more often than committed"),
    ],
)
def test_the_ledger_sees_what_is_wrong(pipeline: Pipeline, wrong: Callable[[Book], Book], said: str) -> None:
    if not pipeline.load.committed:
        pipeline.load.insert(200)
    pipeline.settle()
    book = pipeline.ledger.read()
    assert not violations(book, pipeline.load.committed)
    assert any(said in violation for violation in violations(wrong(book), pipeline.load.committed))
