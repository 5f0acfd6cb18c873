"""The example agent, in memory."""

from __future__ import annotations

import pytest

from headrace_agents import ModelError
from headrace_agents.chat import ChatRequest
from headrace_agents.records import Review
from headrace_agents.testing import AgentTest
from support_triage.agent import (
    CustomerMemory,
    Escalation,
    EscalationQuestion,
    EscalationVerdict,
    Reviewed,
    SupportTriage,
    TriageAnswer,
    TriageDecision,
)

TICKETS = "public.tickets"


def answer(request: ChatRequest) -> TriageAnswer:
    down = "down" in request.messages[-1].content
    return TriageAnswer(urgency="high" if down else "normal", queue="operations" if down else "general")


@pytest.fixture
def agent() -> AgentTest:
    return AgentTest(SupportTriage, key=("customer_id",), model=answer)


def ticket(number: int, customer: int = 7, subject: str = "hello", status: str = "open") -> dict[str, object]:
    return {"id": number, "customer_id": customer, "subject": subject, "body": "", "status": status}


@pytest.mark.parametrize("how", ["create", "read"])
def test_a_ticket_is_triaged_by_what_the_model_says(agent: AgentTest, how: str) -> None:
    handled = getattr(agent, how)(TICKETS, ticket(1, subject="the site is down"))

    assert handled.decisions == (
        TriageDecision(ticket_id=1, customer_id=7, urgency="high", queue="operations", tickets_seen=1),
    )
    assert handled.outcome.model_calls == 1
    assert agent.requests[0].answer_type is TriageAnswer


def test_the_third_ticket_of_a_customer_is_escalated(agent: AgentTest) -> None:
    for number in (1, 2):
        assert len(agent.create(TICKETS, ticket(number)).decisions) == 1
    agent.create(TICKETS, ticket(9, customer=8))

    _, escalation = agent.create(TICKETS, ticket(3)).decisions

    assert escalation == Escalation(
        customer_id=7, ticket_id=3, tickets_seen=3, reason="3 tickets, 3 of them open"
    )


def escalated(agent: AgentTest) -> Review:
    for number in (1, 2):
        agent.create(TICKETS, ticket(number))
    (review,) = agent.create(TICKETS, ticket(3, subject="down")).reviews
    return review


def test_a_human_is_asked_about_a_customer_who_is_escalated(agent: AgentTest) -> None:
    review = escalated(agent)

    assert review.kind == "EscalationQuestion"
    assert EscalationQuestion.model_validate(review.question) == EscalationQuestion(
        customer_id=7,
        ticket_id=3,
        subject="down",
        tickets_seen=3,
        last_urgencies=["normal", "normal", "high"],
    )


def test_a_verdict_is_a_decision_and_the_model_is_told_of_it(agent: AgentTest) -> None:
    review = escalated(agent)

    verdict = EscalationVerdict(ticket_id=3, take_over=True, note="call them")
    handled = agent.answer(review, verdict, by="ada")
    agent.create(TICKETS, ticket(4))

    assert handled.decisions == (
        Reviewed(customer_id=7, ticket_id=3, taken_over=True, by="ada", note="call them"),
    )
    assert "said: call them" in agent.requests[-1].messages[0].content


def test_a_second_verdict_on_the_same_question_changes_nothing(agent: AgentTest) -> None:
    review = escalated(agent)
    agent.answer(review, EscalationVerdict(ticket_id=3, take_over=False))
    before = agent.memory(customer_id=7)

    again = agent.answer(review, EscalationVerdict(ticket_id=3, take_over=True, note="no, I do"))

    assert (again.decisions, again.outcome.status) == ((), "decided")
    assert agent.memory(customer_id=7) == before


def test_no_second_question_is_asked_while_one_waits_for_its_verdict(agent: AgentTest) -> None:
    review = escalated(agent)
    later = [agent.create(TICKETS, ticket(number)) for number in (4, 5, 6)]
    assert [len(handled.decisions) for handled in later] == [1, 1, 2]
    assert [handled.reviews for handled in later] == [(), (), ()]

    agent.answer(review, EscalationVerdict(ticket_id=3, take_over=False))

    asked = [agent.create(TICKETS, ticket(number)).reviews for number in (7, 8, 9)]
    assert [len(reviews) for reviews in asked] == [0, 0, 1]


def test_a_verdict_that_does_not_fit_is_a_dead_letter(agent: AgentTest) -> None:
    review = escalated(agent)

    handled = agent.answer(review, CustomerMemory())

    assert handled.outcome.reason == "malformed"


def test_memory_of_before_there_were_verdicts_can_be_read() -> None:
    old = {"tickets_seen": 2, "open_tickets": [1], "last_urgencies": ["low"]}

    assert CustomerMemory.model_validate(old).awaiting_verdict_on is None


def test_the_model_is_told_what_is_known_of_the_customer(agent: AgentTest) -> None:
    agent.create(TICKETS, ticket(1, subject="down"))
    agent.create(TICKETS, ticket(2))

    assert "so far: 1, open: 1, last urgencies: high" in agent.requests[1].messages[0].content


def test_closing_or_deleting_a_ticket_changes_memory_without_a_call(agent: AgentTest) -> None:
    for number in (1, 2, 3):
        agent.create(TICKETS, ticket(number))

    closed = agent.update(TICKETS, ticket(1), ticket(1, status="closed"))
    deleted = agent.delete(TICKETS, ticket(2))

    assert (closed.outcome.model_calls, deleted.outcome.model_calls) == (0, 0)
    assert closed.decisions == deleted.decisions == ()
    memory = agent.memory(customer_id=7)
    assert isinstance(memory, CustomerMemory)
    assert memory.open_tickets == [3]
    assert memory.tickets_seen == 3


def test_a_ticket_that_is_opened_again_is_open(agent: AgentTest) -> None:
    agent.create(TICKETS, ticket(1))
    agent.update(TICKETS, None, ticket(1, status="closed"))
    agent.update(TICKETS, None, ticket(1))

    memory = agent.memory(customer_id=7)
    assert isinstance(memory, CustomerMemory)
    assert memory.open_tickets == [1]


def test_a_model_that_fails_leaves_a_dead_letter_and_no_memory() -> None:
    def fail(request: ChatRequest) -> str:
        raise ModelError("overloaded", "503")

    agent = AgentTest(SupportTriage, key=("customer_id",), model=fail)

    handled = agent.create(TICKETS, ticket(1))

    assert handled.outcome.reason == "model_error"
    assert handled.dead_letter is not None
    assert handled.dead_letter.headers["headrace.detail"] == b"overloaded: 503"
    assert agent.memory(customer_id=7) is None


def test_a_row_that_is_no_ticket_is_a_dead_letter(agent: AgentTest) -> None:
    handled = agent.create(TICKETS, {"id": "many", "customer_id": 7})

    assert handled.outcome.reason == "malformed"


def test_the_same_event_has_the_same_ids(agent: AgentTest) -> None:
    again = AgentTest(SupportTriage, key=("customer_id",), model=answer)

    first, second = agent.create(TICKETS, ticket(1)), again.create(TICKETS, ticket(1))

    assert first.outcome.decisions == second.outcome.decisions
    assert agent.requests[0].idempotency_key == again.requests[0].idempotency_key
