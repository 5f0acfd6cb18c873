"""Says how urgent a ticket is and which queue takes it; a customer who keeps coming back is escalated.

A human is asked what to do about such a customer; what they say is remembered, and the model is told.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from headrace_agents import Agent, Answer, Change, Context, Message, beside, on, on_answer, takes

Urgency = Literal["low", "normal", "high"]


class Ticket(BaseModel):
    """A row of ``public.tickets``; all but its id may be missing from the row before a change."""

    id: int
    customer_id: int | None = None
    subject: str | None = None
    body: str | None = None
    status: str | None = None


class CustomerMemory(BaseModel):
    """What is known of one customer."""

    tickets_seen: int = 0
    open_tickets: list[int] = Field(default_factory=list)
    last_urgencies: list[Urgency] = Field(default_factory=list)
    awaiting_verdict_on: int | None = None
    """The ticket about which a human was asked and has not answered; nothing more is asked till then."""
    verdict: str | None = None
    """What a human said last."""


class TriageAnswer(BaseModel):
    """What the model is asked for."""

    model_config = ConfigDict(extra="forbid")

    urgency: Urgency
    queue: str


class TriageDecision(BaseModel):
    ticket_id: int
    customer_id: int
    urgency: Urgency
    queue: str
    tickets_seen: int
    """Of this customer, this one included."""


class Escalation(BaseModel):
    customer_id: int
    ticket_id: int
    """The one that made it too many."""
    tickets_seen: int
    reason: str


class EscalationQuestion(BaseModel):
    """What a human is asked."""

    customer_id: int
    ticket_id: int
    subject: str
    tickets_seen: int
    last_urgencies: list[Urgency]


class EscalationVerdict(BaseModel):
    """What a human answers."""

    model_config = ConfigDict(extra="forbid")

    ticket_id: int
    """Of the question."""
    take_over: bool
    note: str = Field(default="", max_length=500)


class Reviewed(BaseModel):
    """A human has said what becomes of an escalation."""

    customer_id: int
    ticket_id: int
    taken_over: bool
    by: str
    note: str


class TriageSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    escalate_every: int = Field(default=3, gt=0)
    """Escalates on every n-th ticket of a customer."""
    remembered_urgencies: int = Field(default=5, gt=0)
    task: Annotated[str, takes("tickets_seen", "open_tickets", "last_urgencies", "verdict")] = beside(
        __file__, "task.txt"
    )
    """What the model is told of its task and of the customer."""


TriageContext = Context[CustomerMemory, TriageDecision | Escalation | Reviewed]


class SupportTriage(Agent[CustomerMemory, TriageDecision | Escalation | Reviewed, TriageSettings]):
    @on("public.tickets", "create", "read")
    async def ticket_opened(self, ctx: TriageContext, change: Change[Ticket]) -> None:
        ticket, memory = change.row, ctx.memory
        answer = (await ctx.model(self._question(memory, ticket), answer=TriageAnswer)).content
        memory.tickets_seen += 1
        memory.open_tickets.append(ticket.id)
        kept = self.settings.remembered_urgencies
        memory.last_urgencies = [*memory.last_urgencies, answer.urgency][-kept:]
        customer_id = int(change.key["customer_id"])
        ctx.emit(
            TriageDecision(
                ticket_id=ticket.id,
                customer_id=customer_id,
                urgency=answer.urgency,
                queue=answer.queue,
                tickets_seen=memory.tickets_seen,
            )
        )
        if memory.tickets_seen % self.settings.escalate_every == 0:
            ctx.emit(
                Escalation(
                    customer_id=customer_id,
                    ticket_id=ticket.id,
                    tickets_seen=memory.tickets_seen,
                    reason=f"{memory.tickets_seen} tickets, {len(memory.open_tickets)} of them open",
                )
            )
            self._ask(ctx, customer_id, ticket)

    @on("public.tickets", "update")
    async def ticket_changed(self, ctx: TriageContext, change: Change[Ticket]) -> None:
        ticket, memory = change.row, ctx.memory
        if ticket.status == "closed":
            self._close(memory, ticket)
        elif ticket.id not in memory.open_tickets:
            memory.open_tickets.append(ticket.id)

    @on("public.tickets", "delete")
    async def ticket_deleted(self, ctx: TriageContext, change: Change[Ticket]) -> None:
        self._close(ctx.memory, change.row)

    @on_answer
    async def verdict_given(self, ctx: TriageContext, answer: Answer[EscalationVerdict]) -> None:
        verdict, memory = answer.answer, ctx.memory
        if verdict.ticket_id != memory.awaiting_verdict_on:
            return  # given twice, or nothing of the kind was asked
        memory.awaiting_verdict_on = None
        memory.verdict = verdict.note or ("taken over" if verdict.take_over else "left to the queue")
        ctx.emit(
            Reviewed(
                customer_id=int(answer.key["customer_id"]),
                ticket_id=verdict.ticket_id,
                taken_over=verdict.take_over,
                by=answer.by,
                note=verdict.note,
            )
        )

    def _ask(self, ctx: TriageContext, customer_id: int, ticket: Ticket) -> None:
        memory = ctx.memory
        if memory.awaiting_verdict_on is not None:
            return
        memory.awaiting_verdict_on = ticket.id
        ctx.escalate(
            EscalationQuestion(
                customer_id=customer_id,
                ticket_id=ticket.id,
                subject=ticket.subject or "",
                tickets_seen=memory.tickets_seen,
                last_urgencies=memory.last_urgencies,
            )
        )

    def _close(self, memory: CustomerMemory, ticket: Ticket) -> None:
        memory.open_tickets = [open_ticket for open_ticket in memory.open_tickets if open_ticket != ticket.id]

    def _question(self, memory: CustomerMemory, ticket: Ticket) -> list[Message]:
        said = memory.verdict
        task = self.settings.task.format(
            tickets_seen=memory.tickets_seen,
            open_tickets=len(memory.open_tickets),
            last_urgencies=", ".join(memory.last_urgencies) or "none",
            verdict="" if said is None else f" A colleague who looked at this customer said: {said}.",
        )
        return [
            Message("system", task),
            Message("user", f"{ticket.subject or ''}\n\n{ticket.body or ''}"),
        ]
