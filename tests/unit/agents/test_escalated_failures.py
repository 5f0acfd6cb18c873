"""A failure of the model of which humans are asked: a dead letter, a question, and what an answer does."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from pydantic_core import to_json

from headrace_agents import ModelError
from headrace_agents.chat import ChatRequest, ModelErrorKind
from headrace_agents.records import (
    FailureAnswer,
    InputRecord,
    ModelFailure,
    Position,
    encode_replay,
    failure_review_id,
    is_of_failure,
)
from headrace_agents.testing import AgentTest
from support_triage.agent import EscalationVerdict, SupportTriage, TriageAnswer

TICKETS = "public.tickets"
TICKET = {"id": 1, "customer_id": 7, "subject": "hello", "body": "", "status": "open"}


class Model:
    def __init__(self, kind: ModelErrorKind | None, detail: str = "401: no") -> None:
        self.kind, self.detail = kind, detail

    def __call__(self, request: ChatRequest) -> BaseModel:
        if self.kind is not None:
            raise ModelError(self.kind, self.detail)
        return TriageAnswer(urgency="low", queue="general")


def agent_of(model: Model) -> AgentTest:
    return AgentTest(SupportTriage, key=("customer_id",), model=model, escalated={"auth", "refused"})


def test_it_is_a_dead_letter_and_one_question_and_nothing_else() -> None:
    agent = agent_of(Model("auth"))
    handled = agent.create(TICKETS, TICKET)

    assert (handled.outcome.status, handled.outcome.reason) == ("dead_lettered", "model_error")
    assert handled.dead_letter is not None
    (review,) = handled.reviews
    assert (review.kind, review.key) == ("ModelFailure", {"customer_id": 7})
    assert ModelFailure.model_validate(review.question) == ModelFailure(
        failure="auth", detail="auth: 401: no"
    )
    assert review.event.position == Position(TICKETS, 0, 0)
    assert is_of_failure(review.id)
    assert handled.decisions == ()
    assert agent.memory(customer_id=7) is None


@pytest.mark.parametrize("kind", ["overloaded", "too_long", "unknown"])
def test_of_another_class_nobody_is_asked(kind: ModelErrorKind) -> None:
    handled = agent_of(Model(kind)).create(TICKETS, TICKET)
    assert handled.outcome.reason == "model_error"
    assert handled.reviews == ()


def test_an_answer_is_not_for_the_agent() -> None:
    agent = agent_of(Model("auth"))
    (review,) = agent.create(TICKETS, TICKET).reviews
    handled = agent.answer(review, FailureAnswer(replay=True), by="ada")
    assert (handled.outcome.status, handled.decisions) == ("decided", ())
    # It would not have fitted: an answer of the agent's own form does not either.
    verdict = EscalationVerdict(ticket_id=1, take_over=True)
    assert agent.answer(review, verdict).outcome.status == "decided"


def test_a_replay_is_decided_once_the_model_works_and_asks_anew_while_it_does_not() -> None:
    model = Model("auth")
    agent = agent_of(model)
    first = agent.create(TICKETS, TICKET)
    assert first.dead_letter is not None
    letter = InputRecord(Position(TICKETS, 0, 0), 1, first.dead_letter.key, first.dead_letter.value)

    again = agent.send("replays", letter.key, encode_replay(letter))
    (before,), (after,) = first.reviews, again.reviews
    assert before.id != after.id
    assert before.event == after.event

    model.kind = None
    done = agent.send("replays", letter.key, encode_replay(letter))
    assert (done.outcome.status, len(done.decisions), done.reviews) == ("decided", 1, ())


def test_the_question_is_the_same_however_often_its_run_is_run() -> None:
    position = Position("t", 0, 1)
    assert failure_review_id("a", position) == failure_review_id("a", position)
    assert failure_review_id("a", position) != failure_review_id("a", Position("t", 0, 2))


def test_whatever_an_endpoint_says_can_be_written_down() -> None:
    handled = agent_of(Model("refused", "half of a pair: \ud800 " + "x" * 10_000)).create(TICKETS, TICKET)
    assert handled.dead_letter is not None
    said = handled.dead_letter.headers["headrace.detail"]
    assert said.decode().startswith("refused: half of a pair: \\ud800 x")
    (review,) = handled.reviews
    assert len(to_json(review.question)) < 1_200
