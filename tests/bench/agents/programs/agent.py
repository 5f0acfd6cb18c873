"""The work as agents: of a model, and of none."""

from __future__ import annotations

from pydantic import BaseModel

from headrace_agents import Agent, Change, Context, on
from tests.bench.agents.programs.work import INSTANT, Answer, Decision, Ticket, decision, now_ms, question

TABLE = "public.tickets"


class Seen(BaseModel):
    """What is remembered of a customer."""

    tickets: int = 0
    last_urgency: str = ""


class Asking(Agent[Seen, Decision]):
    """Asks the model."""

    @on(TABLE)
    async def ticket(self, ctx: Context[Seen, Decision], change: Change[Ticket]) -> None:
        asked_at_ms = now_ms()
        answer = (await ctx.model(question(change.row), answer=Answer)).content
        _decide(ctx, change.row, answer, asked_at_ms)


class Instant(Agent[Seen, Decision]):
    """Decides at once."""

    @on(TABLE)
    async def ticket(self, ctx: Context[Seen, Decision], change: Change[Ticket]) -> None:
        _decide(ctx, change.row, INSTANT, now_ms())


class Kept(BaseModel):
    """What is remembered where it is size that is measured."""

    last: str = ""


class Remembering(Agent[Kept, Decision]):
    """Remembers the ticket's text."""

    @on(TABLE)
    async def ticket(self, ctx: Context[Kept, Decision], change: Change[Ticket]) -> None:
        ctx.memory.last = change.row.body
        ctx.emit(decision(change.row, INSTANT, now_ms()))


def _decide(ctx: Context[Seen, Decision], ticket: Ticket, answer: Answer, asked_at_ms: int) -> None:
    ctx.memory.tickets += 1
    ctx.memory.last_urgency = answer.urgency
    ctx.emit(decision(ticket, answer, asked_at_ms))
