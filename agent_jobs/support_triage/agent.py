"""Says how urgent a ticket is and which queue takes it; a customer who keeps coming back is escalated."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from headrace_agents import Agent, Change, Context, Message, on

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


class TriageSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    escalate_every: int = Field(default=3, gt=0)
    """Escalates on every n-th ticket of a customer."""
    remembered_urgencies: int = Field(default=5, gt=0)


TriageContext = Context[CustomerMemory, TriageDecision | Escalation]


class SupportTriage(Agent[CustomerMemory, TriageDecision | Escalation, TriageSettings]):
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

    def _close(self, memory: CustomerMemory, ticket: Ticket) -> None:
        memory.open_tickets = [open_ticket for open_ticket in memory.open_tickets if open_ticket != ticket.id]

    def _question(self, memory: CustomerMemory, ticket: Ticket) -> list[Message]:
        history = (
            f"Tickets of this customer so far: {memory.tickets_seen}, open: {len(memory.open_tickets)}, "
            f"last urgencies: {', '.join(memory.last_urgencies) or 'none'}."
        )
        task = "You triage support tickets. Say how urgent one is and which queue takes it."
        return [
            Message("system", f"{task} {history}"),
            Message("user", f"{ticket.subject or ''}\n\n{ticket.body or ''}"),
        ]
