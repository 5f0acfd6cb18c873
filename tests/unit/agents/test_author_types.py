"""What a type checker knows of an agent: ``make lint`` checks these lines, and here they run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import pytest
from pydantic import BaseModel

from headrace_agents import (
    Agent,
    Answer,
    Change,
    Context,
    Reminder,
    Reply,
    RunModel,
    on,
    on_answer,
    on_reminder,
)
from headrace_agents.run_embedding import RunEmbedding
from headrace_agents.testing import AgentTest
from tests.unit.agents.journal import Journal


class Row(BaseModel):
    id: int


class Memory(BaseModel):
    seen: int = 0


class Decided(BaseModel):
    id: int


class Told(BaseModel):
    id: int


class Settings(BaseModel):
    most: int = 3


class Later(BaseModel):
    id: int


class Verdict(BaseModel):
    yes: bool


class Booking(BaseModel):
    at: datetime


Run = Context[Memory, Decided | Told]


def book(number: int, *, note: str = "", idempotency_key: str | None = None) -> Booking:
    assert idempotency_key is not None
    return Booking(at=datetime.fromtimestamp(number, UTC))


async def cancel(booking: Booking) -> bool:
    await asyncio.sleep(0)
    return booking is not None


def forget() -> None: ...


class Typed(Agent[Memory, Decided | Told, Settings]):
    @on("public.rows")
    async def row(self, ctx: Run, change: Change[Row]) -> None:
        assert_type(self.settings, Settings)
        assert_type(ctx.memory, Memory)
        assert_type(ctx.memory.seen, int)
        assert_type(ctx.now, datetime)
        assert_type(change.row, Row)
        assert_type(change.before, Row | None)
        booking = await ctx.step("book", book, change.row.id, note="soon")
        assert_type(booking, Booking)
        assert_type(await ctx.step("cancel", cancel, booking), bool)
        assert_type(await ctx.step("settings", self.limit, 2), int)
        await ctx.step("forget", forget)
        ctx.emit(Decided(id=1))
        ctx.emit(Told(id=1))
        ctx.remind(timedelta(seconds=1), Later(id=1))
        ctx.escalate(Later(id=2))

    @on_reminder
    async def later(self, ctx: Run, reminder: Reminder[Later]) -> None:
        assert_type(reminder.payload, Later)
        assert_type(reminder.due_at, datetime)

    @on_answer
    async def answered(self, ctx: Run, answer: Answer[Verdict]) -> None:
        assert_type(answer.answer, Verdict)
        assert_type(answer.by, str)

    def limit(self, times: int) -> int:
        return self.settings.most * times


async def refused(ctx: Run) -> None:
    """Each line is an error to a type checker; ``warn_unused_ignores`` says when it is none any more."""
    ctx.emit(Memory())  # type: ignore[arg-type]
    ctx.memory = Decided(id=1)  # type: ignore[assignment]
    ctx.memory.sen = 1  # type: ignore[attr-defined]
    ctx.remind(5, Later(id=1))  # type: ignore[arg-type]
    ctx.escalate("why?")  # type: ignore[arg-type]
    await ctx.step("book", book, "one")  # type: ignore[call-overload]
    await ctx.step("book", book, 1, nite="soon")  # type: ignore[call-arg, arg-type]
    await ctx.step("book", book)  # type: ignore[call-overload]
    await ctx.model("hello", tools=[3])  # type: ignore[list-item]


def refused_classes() -> None:
    class NoModels(Agent[int, str]):  # type: ignore[type-var]
        pass

    class Wrong(Agent[Memory, Decided]):
        @on("public.rows", "insert")  # type: ignore[arg-type]
        async def row(self, ctx: Run, change: Change[Row]) -> None: ...

        @on_reminder  # type: ignore[type-var]
        def later(self, ctx: Run, reminder: Reminder[Later]) -> None: ...

    AgentTest(Memory, key=("id",))  # type: ignore[arg-type]
    AgentTest(Typed, key=("id",), write_ahead="some")  # type: ignore[arg-type]


async def model(ctx: Run) -> None:
    assert_type(await ctx.model("hello"), Reply[str])
    assert_type((await ctx.model("hello", answer=Verdict)).content, Verdict)


def test_the_types_are_those_of_the_values() -> None:
    agent = AgentTest(Typed, key=("id",))

    (review,) = agent.create("public.rows", {"id": 1}).reviews

    assert agent.answer(review, Verdict(yes=True)).outcome.status == "decided"
    (reminded,) = agent.advance(timedelta(seconds=1))
    assert reminded.outcome.status == "decided"


def test_what_a_checker_refuses_is_refused_when_it_runs() -> None:
    ctx: Context[Any, Any] = Context(
        memory=Memory(),
        model=RunModel(None, Journal()),
        embedding=RunEmbedding(None, Journal()),
        steps=Journal(),
        key={},
        now_ms=0,
        decision_types=(Decided, Told),
        reminder_types=("Later",),
    )
    with pytest.raises(TypeError, match="emitted a Memory; the agent declares Decided, Told"):
        ctx.emit(Memory())
