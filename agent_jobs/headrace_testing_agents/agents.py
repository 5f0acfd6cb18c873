"""The chronicle, whose memory says in which order it saw what; five steps; an asker; an instant one."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import aiohttp
from pydantic import BaseModel, ConfigDict, Field

from headrace_agents import Agent, Change, Context, Message, Reminder, on, on_reminder
from headrace_agents.prompts import takes
from headrace_testing_agents.labour import LABORIOUS, labour
from headrace_testing_agents.replaying import REMINDED_EVERY, chained
from headrace_testing_agents.steps import STEPS

TICKETS = "public.tickets"
CASES = "public.cases"
QUESTIONS = "public.questions"


class Ticket(BaseModel):
    """A row of ``public.tickets``; all but its id may be missing from the row before a change."""

    id: int
    customer_id: int | None = None
    subject: str | None = None
    body: str | None = None
    status: str | None = None


class Chronicled(BaseModel):
    """What the chronicle remembers of one customer."""

    events: int = 0
    digest: str = ""
    last: str = ""
    """Body of the last ticket."""
    reminded: list[int] = Field(default_factory=list)
    """Numbers of the events whose reminders have come."""


class Judgement(BaseModel):
    model_config = ConfigDict(extra="forbid")

    urgency: str


class Noted(BaseModel):
    ticket_id: int
    number: int
    """Of the event among the customer's, from 1."""
    digest: str
    urgency: str


class Reminded(BaseModel):
    number: int
    """Of the event that set the reminder."""
    times: int
    """How many reminders of the customer have come, this one included."""


class Again(BaseModel):
    """A reminder's payload."""

    number: int
    body: str


class ChronicleSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    remind_after_s: float = Field(default=2, gt=0)
    instruction: Annotated[str, takes()] = "Judge a ticket."


ChronicleContext = Context[Chronicled, Noted | Reminded]


class Chronicle(Agent[Chronicled, Noted | Reminded, ChronicleSettings]):
    """Asks the model about each change; memory is a chain of all of them."""

    @on(TICKETS)
    async def changed(self, ctx: ChronicleContext, change: Change[Ticket]) -> None:
        ticket, memory = change.row, ctx.memory
        body = ticket.body or ""
        if ticket.status == LABORIOUS:
            labour()
        question = [
            Message("system", self.settings.instruction),
            Message("user", f"{ticket.subject or ''} {body}"),
        ]
        judgement = (await ctx.model(question, answer=Judgement)).content
        memory.events += 1
        memory.digest = chained(memory.digest, change.operation, ticket.id, body)
        memory.last = body
        if memory.events % REMINDED_EVERY == 0:
            ctx.remind(
                timedelta(seconds=self.settings.remind_after_s), Again(number=memory.events, body=body)
            )
        ctx.emit(
            Noted(ticket_id=ticket.id, number=memory.events, digest=memory.digest, urgency=judgement.urgency)
        )

    @on_reminder
    async def reminded(self, ctx: ChronicleContext, reminder: Reminder[Again]) -> None:
        number = reminder.payload.number
        ctx.memory.reminded.append(number)
        ctx.emit(Reminded(number=number, times=len(ctx.memory.reminded)))


class Question(BaseModel):
    id: int
    text: str = ""


class Asked(BaseModel):
    questions: int = 0


class Answered(BaseModel):
    question: int
    urgency: str


class Asker(Agent[Asked, Answered]):
    """Asks the model once for each question."""

    @on(QUESTIONS, "create")
    async def asked(self, ctx: Context[Asked, Answered], change: Change[Question]) -> None:
        judgement = (await ctx.model(change.row.text, answer=Judgement)).content
        ctx.memory.questions += 1
        ctx.emit(Answered(question=change.row.id, urgency=judgement.urgency))


class Case(BaseModel):
    id: int
    note: str = ""


class Handled(BaseModel):
    notes: list[str] = Field(default_factory=list)


class Done(BaseModel):
    case: int
    receipts: list[str]


class LookAgain(BaseModel):
    """A reminder's payload."""

    note: str


class FiveStepsSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    effects: str
    """URL that takes the steps' effects: the scripted model's."""


class FiveSteps(Agent[Handled, Done, FiveStepsSettings]):
    """Does one step after the other, each with an effect outside."""

    @on(CASES, "create")
    async def opened(self, ctx: Context[Handled, Done], change: Change[Case]) -> None:
        case = change.row
        receipts = [await ctx.step(step, self._effect, case.id, step, case.note) for step in STEPS]
        ctx.memory.notes.append(case.note)
        ctx.remind(timedelta(hours=1), LookAgain(note=case.note))
        ctx.emit(Done(case=case.id, receipts=receipts))

    @on_reminder
    async def look_again(self, ctx: Context[Handled, Done], reminder: Reminder[LookAgain]) -> None:
        ctx.memory.notes.append(reminder.payload.note)

    async def _effect(self, case: int, step: str, note: str, *, idempotency_key: str = "") -> str:
        body = {"model": "scripted-triage", "messages": [{"role": "user", "content": f"{step} {note}"}]}
        headers = {"Idempotency-Key": idempotency_key}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.settings.effects, json=body, headers=headers, raise_for_status=True) as answer,
        ):
            completion = await answer.json()
        return f"{case} {step} {note} {completion['id']}"


class Count(BaseModel):
    events: int = 0


class Counted(BaseModel):
    ticket_id: int
    events: int


class Instant(Agent[Count, Counted]):
    """Asks nobody: as many runs as the operator can do."""

    @on(TICKETS)
    async def changed(self, ctx: Context[Count, Counted], change: Change[Ticket]) -> None:
        ctx.memory.events += 1
        ctx.emit(Counted(ticket_id=change.row.id, events=ctx.memory.events))
