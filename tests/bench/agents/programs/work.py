"""The work that every program does for an event: one question, one decision that says when it was asked."""

from __future__ import annotations

import time

from pydantic import BaseModel, ConfigDict
from pydantic_core import from_json

from headrace_agents import Message
from headrace_agents.chat import ChatModel, ChatRequest


class Ticket(BaseModel):
    """A row of the benchmark's table."""

    id: int
    customer_id: int
    subject: str
    body: str
    sent_at_ms: int
    """When the record was given to Kafka's client."""


class Answer(BaseModel):
    """What the model is asked for."""

    model_config = ConfigDict(extra="forbid")

    urgency: str
    queue: str


class Decision(BaseModel):
    ticket_id: int
    customer_id: int
    urgency: str
    queue: str
    sent_at_ms: int
    asked_at_ms: int
    answered_at_ms: int


INSTANT = Answer(urgency="normal", queue="general")
"""The answer where no model is asked."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def question(ticket: Ticket) -> tuple[Message, ...]:
    task = "You triage support tickets. Say how urgent one is and which queue takes it."
    return Message("system", task), Message("user", f"{ticket.subject}\n\n{ticket.body}")


def decision(ticket: Ticket, answer: Answer, asked_at_ms: int) -> Decision:
    return Decision(
        ticket_id=ticket.id,
        customer_id=ticket.customer_id,
        urgency=answer.urgency,
        queue=answer.queue,
        sent_at_ms=ticket.sent_at_ms,
        asked_at_ms=asked_at_ms,
        answered_at_ms=now_ms(),
    )


async def decide(value: bytes, call: str, model: ChatModel | None) -> bytes:
    """The whole work as a program without a runtime does it: record in, decision out, nothing remembered."""
    ticket = Ticket.model_validate(from_json(value)["after"])
    asked_at_ms = now_ms()
    answer = INSTANT
    if model is not None:
        completion = await model.complete(ChatRequest(question(ticket), call, Answer))
        answer = Answer.model_validate_json(completion.text or "")
    return decision(ticket, answer, asked_at_ms).model_dump_json().encode()
