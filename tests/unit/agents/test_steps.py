"""What a failure repeats and what it never does: steps, model calls and tools over a lost worker."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from headrace_agents import Agent, Change, Context, Reply, RunModel, ToolCall, on
from headrace_agents.chat import ChatRequest
from headrace_agents.codec import JournalEntry
from headrace_agents.run_embedding import RunEmbedding
from headrace_agents.steps import RunSteps, WriteAhead
from headrace_agents.testing import AgentTest, ScriptedAnswer
from tests.unit.agents.journal import Journal

TABLE = "public.things"
ROW = {"id": 1, "key": 7}
DONE: Counter[str] = Counter()
"""Of the outside world: how often what was done."""


class Row(BaseModel):
    id: int


class Seen(BaseModel):
    runs: int = 0


class Said(BaseModel):
    what: list[str]
    at: datetime | None = None


Run = Context[Seen, Said]


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    DONE.clear()


def do(what: str) -> str:
    DONE[what] += 1
    return f"{what} {DONE[what]}"


class FiveSteps(Agent[Seen, Said]):
    @on(TABLE)
    async def handle(self, ctx: Run, _change: Change[Row]) -> None:
        ctx.memory.runs += 1
        said = [await ctx.step(name, do, name) for name in "abcde"]
        ctx.emit(Said(what=said, at=ctx.now))


class FiveCalls(Agent[Seen, Said]):
    @on(TABLE)
    async def handle(self, ctx: Run, _change: Change[Row]) -> None:
        ctx.emit(Said(what=[(await ctx.model(name)).content for name in "abcde"]))


def echo(request: ChatRequest) -> str:
    return do(request.messages[-1].content)


def crashed(agent_class: type[Agent[Any, Any, Any]], step: int, ahead: WriteAhead, **more: Any) -> AgentTest:
    agent = AgentTest(agent_class, key=("key",), write_ahead=ahead, **more)
    agent.crash_after(step)
    return agent


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("ahead", ["steps", "all"])
def test_a_run_of_five_steps_repeats_none_wherever_it_is_lost(step: int, ahead: WriteAhead) -> None:
    handled = crashed(FiveSteps, step, ahead).create(TABLE, ROW)

    assert dict(DONE) == dict.fromkeys("abcde", 1)
    (said,) = handled.decisions
    assert isinstance(said, Said)
    assert said.what == [f"{name} 1" for name in "abcde"]


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_without_write_ahead_a_lost_run_repeats_what_no_checkpoint_knew(step: int) -> None:
    crashed(FiveSteps, step, "none").create(TABLE, ROW)

    assert [DONE[name] for name in "abcde"] == [2] * step + [1] * (5 - step)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("ahead", ["none", "steps"])
def test_calls_to_the_model_are_repeated_unless_all_is_written_ahead(step: int, ahead: WriteAhead) -> None:
    handled = crashed(FiveCalls, step, ahead, model=echo).create(TABLE, ROW)

    assert [DONE[name] for name in "abcde"] == [2] * step + [1] * (5 - step)
    assert handled.outcome.model_calls == 5


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_written_ahead_no_call_to_the_model_is_paid_twice(step: int) -> None:
    agent = crashed(FiveCalls, step, "all", model=echo)

    handled = agent.create(TABLE, ROW)

    assert dict(DONE) == dict.fromkeys("abcde", 1)
    assert len(agent.requests) == 5
    assert handled.outcome.model_calls == 5 - step


def test_a_run_that_is_lost_changes_memory_once() -> None:
    agent = crashed(FiveSteps, 3, "steps")

    agent.create(TABLE, ROW)

    assert agent.memory(key=7) == Seen(runs=1)


def test_now_is_the_same_in_the_run_that_goes_on() -> None:
    agent = crashed(FiveSteps, 3, "steps")
    before = agent.now

    (said,) = agent.create(TABLE, ROW).decisions

    assert isinstance(said, Said)
    assert said.at == before


# Tools


class WithTools(Agent[Seen, Said]):
    @on(TABLE)
    async def handle(self, ctx: Run, _change: Change[Row]) -> None:
        async def refund(order: int) -> str:
            """Pays back, in a step of its own."""
            do("refund")
            return await ctx.step("pay", do, f"pay {order}")

        def look(order: int) -> str:
            """Finds an order."""
            return do(f"look {order}")

        reply = await ctx.model("please", tools=[look, refund])
        ctx.emit(Said(what=[m.content for m in reply.messages if m.role == "tool"]))


def both_tools(request: ChatRequest) -> ScriptedAnswer:
    """Two looks at once, then a refund, then done."""
    results = sum(message.role == "tool" for message in request.messages)
    if results == 0:
        return ToolCall("1", "look", '{"order": 1}'), ToolCall("2", "look", '{"order": 2}')
    return ToolCall("3", "refund", '{"order": 1}') if results == 2 else "done"


# model, look, look, model, pay (within refund), refund, model
@pytest.mark.parametrize("step", range(1, 8))
def test_tools_are_called_once_though_their_loop_is_lost(step: int) -> None:
    handled = crashed(WithTools, step, "steps", model=both_tools).create(TABLE, ROW)

    assert (DONE["look 1"], DONE["look 2"], DONE["pay 1"]) == (1, 1, 1)
    (said,) = handled.decisions
    assert said == Said(what=["look 1 1", "look 2 1", "pay 1 1"])


def test_a_step_within_a_tool_is_not_done_again_though_the_tool_is() -> None:
    crashed(WithTools, 5, "steps", model=both_tools).create(TABLE, ROW)

    assert (DONE["refund"], DONE["pay 1"]) == (2, 1)


def test_a_tool_that_ended_is_read_back_with_all_that_is_within_it() -> None:
    crashed(WithTools, 6, "steps", model=both_tools).create(TABLE, ROW)

    assert (DONE["refund"], DONE["pay 1"]) == (1, 1)


# Inputs and keys


KEYS: list[str] = []


def keyed(what: str, idempotency_key: str = "") -> str:
    KEYS.append(idempotency_key)
    return what


def attempt(known: list[JournalEntry]) -> tuple[RunSteps, Run]:
    steps = RunSteps(known, lambda name, occurrence: f"{name}/{occurrence}")
    return steps, context(steps)


def context(steps: Any) -> Run:
    return Context(
        memory=Seen(),
        model=RunModel(None, steps),
        embedding=RunEmbedding(None, steps),
        steps=steps,
        key={},
        now_ms=0,
        decision_types=(Said,),
        reminder_types=(),
    )


def test_another_input_makes_the_step_again_with_the_same_key() -> None:
    KEYS.clear()
    first, ctx = attempt([])
    asyncio.run(ctx.step("send", keyed, "one"))
    again, ctx = attempt(first.finished)

    assert asyncio.run(ctx.step("send", keyed, "other")) == "other"

    assert KEYS == ["send/0", "send/0"]
    assert (again.read_back, again.executed["step"]) == (0, 1)


def test_after_another_input_nothing_more_is_read_back() -> None:
    async def two(ctx: Run, what: str) -> None:
        await ctx.step("one", do, what)
        await ctx.step("two", do, "two")

    first, ctx = attempt([])
    asyncio.run(two(ctx, "one"))
    _, ctx = attempt(first.finished)
    asyncio.run(two(ctx, "other"))

    assert Counter({"one": 1, "other": 1, "two": 2}) == DONE


def test_steps_of_one_name_are_told_apart_by_their_order() -> None:
    async def two(ctx: Run) -> list[str]:
        return [await ctx.step("send", do, "mail"), await ctx.step("send", do, "mail")]

    first, ctx = attempt([])
    said = asyncio.run(two(ctx))
    _, ctx = attempt(first.finished)

    assert said == asyncio.run(two(ctx)) == ["mail 1", "mail 2"]


def test_the_key_that_the_caller_gives_is_handed_on_as_it_is() -> None:
    KEYS.clear()

    asyncio.run(attempt([])[1].step("send", keyed, "one", idempotency_key="my own"))

    assert KEYS == ["my own"]


def test_what_a_step_raises_is_raised_and_not_journaled() -> None:
    def fail() -> None:
        raise OSError("no line")

    steps, ctx = attempt([])

    with pytest.raises(OSError, match="no line"):
        asyncio.run(ctx.step("send", fail))
    assert steps.finished == []


# Types


class Booking(BaseModel):
    id: int
    at: datetime


MOMENT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def book(number: int) -> Booking:
    return Booking(id=number, at=MOMENT)


async def when(_booking: Booking) -> datetime:
    await asyncio.sleep(0)
    return MOMENT


def nothing() -> None:
    DONE["nothing"] += 1


def durations(*, longest: timedelta) -> dict[str, timedelta]:
    return {"longest": longest}


class Desk:
    def book(self, number: int) -> Booking:
        return Booking(id=number, at=MOMENT)

    def __call__(self, number: int) -> Booking:
        return self.book(number)


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (lambda ctx: ctx.step("s", book, 1), Booking(id=1, at=MOMENT)),
        (lambda ctx: ctx.step("s", when, Booking(id=1, at=MOMENT)), MOMENT),
        (lambda ctx: ctx.step("s", nothing), None),
        (
            lambda ctx: ctx.step("s", durations, longest=timedelta(hours=1)),
            {"longest": timedelta(hours=1)},
        ),
        (lambda ctx: ctx.step("s", Desk().book, 1), Booking(id=1, at=MOMENT)),
        (lambda ctx: ctx.step("s", Desk(), 1), Booking(id=1, at=MOMENT)),
        (lambda ctx: ctx.step("s", partial(book, 1)), Booking(id=1, at=MOMENT)),
        (lambda ctx: ctx.step("s", len, [1, 2]), 2),
    ],
)
def test_a_result_has_its_annotated_type_when_made_and_when_read_back(
    call: Callable[[Run], Awaitable[object]], result: object
) -> None:
    journal = Journal()
    made = asyncio.run(_awaited(call(context(journal))))
    again = Journal(journal.entries)
    read_back = asyncio.run(_awaited(call(context(again))))

    assert made == read_back == result
    assert type(made) is type(read_back) is type(result)
    assert again.executed == []


async def _awaited(awaitable: Awaitable[object]) -> object:
    return await awaitable


def takes_anything(_what: object) -> None: ...


def gives_anything() -> Any:
    return object()


def test_what_json_can_t_hold_is_refused_by_the_step_s_name() -> None:
    with pytest.raises(TypeError, match="step 'send': an argument can't be kept as JSON"):
        asyncio.run(context(Journal()).step("send", takes_anything, object()))
    with pytest.raises(TypeError, match="step 'send': the result can't be kept as JSON"):
        asyncio.run(context(Journal()).step("send", gives_anything))


def test_annotations_that_are_not_there_at_run_time_are_refused() -> None:
    def lost() -> None: ...

    lost.__annotations__ = {"return": "Nowhere"}

    with pytest.raises(TypeError, match=r"annotations can't be resolved.*Nowhere"):
        asyncio.run(context(Journal()).step("send", lost))


def test_functions_that_are_made_in_every_run_are_not_kept_for_ever() -> None:
    class Held: ...

    async def many() -> list[weakref.ref[Held]]:
        refs = []
        for _ in range(1_100):
            held = Held()
            refs.append(weakref.ref(held))

            def send(_held: Held = held) -> None: ...

            await context(Journal()).step("send", send)
        return refs

    refs = asyncio.run(many())
    gc.collect()

    assert refs[0]() is None


def test_a_set_is_the_same_input_whatever_its_order() -> None:
    """Sets of text have another order in every process; those of these numbers by how they were filled."""
    one, other = {"tags": (set([0, 8]), 1)}, {"tags": (set([8, 0]), 1)}  # noqa: C405 - in this order
    assert list(one["tags"][0]) != list(other["tags"][0])
    journal = Journal()

    asyncio.run(context(journal).step("s", takes_anything, one))
    asyncio.run(context(Journal(journal.entries)).step("s", takes_anything, other))

    assert len(journal.entries) == 1


def test_a_reply_can_be_kept_by_a_step() -> None:
    """Dataclasses are what JSON can hold, too."""

    def reply() -> Reply[str]:
        return Reply("hello")

    assert asyncio.run(context(Journal()).step("s", reply)) == Reply("hello")
