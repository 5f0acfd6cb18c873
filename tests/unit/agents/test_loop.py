"""Runs beside the operator's thread: many at once, bounded, ended with the loop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from headrace_agents import Agent, Change, Context, codec, on
from headrace_agents.agent import prepare
from headrace_agents.chat import ChatModel
from headrace_agents.events import ChangeWork
from headrace_agents.loop import RunLoop
from headrace_agents.memory import UnreadableMemoryError
from headrace_agents.model.concurrency import Concurrency
from headrace_agents.records import Position
from headrace_agents.runs import RunHandle, RunRequest
from headrace_agents.testing import in_memory_spec
from tests.pipeline.waiting import until
from tests.unit.agents.worlds import LIMITS, TABLE, Decided, Seen, Thing, runs_of


class Crowd(Agent[Seen, Decided]):
    """Counts how many of its runs are under way at once."""

    now = 0
    most = 0
    cancelled = 0

    @on(TABLE)
    async def thing(self, ctx: Context[Seen, Decided], change: Change[Thing]) -> None:
        if change.row.do == "exit":
            raise SystemExit(3)
        if change.row.do == "cancel":
            raise asyncio.CancelledError
        if change.row.do == "end all":
            raise KeyboardInterrupt
        if change.row.do == "step and hang":
            await ctx.step("first", nothing)
            await asyncio.sleep(3600)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(3600 if change.row.do == "hang" else 0.01)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.now -= 1


async def nothing() -> str:
    return ""


class ClosableModel:
    closed = False

    async def complete(self, request: object) -> object:
        raise NotImplementedError

    async def close(self) -> None:
        self.closed = True


class Loops:
    def __init__(self, *, most: int | Concurrency = 100) -> None:
        agent = prepare(Crowd, {})
        assert isinstance(agent.instance, Crowd)
        self.agent = agent.instance
        self.handler = agent.changes[TABLE, "create"]
        self.model, self.embedding = ClosableModel(), ClosableModel()
        spec = in_memory_spec(agent, ("key",), LIMITS.model_copy(update={"run_deadline_ms": 60_000}), "none")
        self.loop = RunLoop(
            runs_of(spec, agent, lambda: time.time_ns() // 1_000_000),
            self._open,
            open_embedding=lambda: self.embedding,  # type: ignore[arg-type, return-value]
            concurrency=most if isinstance(most, Concurrency) else Concurrency(most, most),
        )

    def start(self, number: int, do: str = "", memory: bytes | None = None) -> RunHandle:
        row = {"id": number, "key": number, "do": do}
        request = RunRequest(
            shard=0,
            business_key=b"[%d]" % number,
            raw_key=b"",
            position=Position(TABLE, 0, number),
            record=Position(TABLE, 0, number),
            committed_at_ms=None,
            accepted_at_ms=0,
            work=ChangeWork(self.handler, {"key": number}, "create", TABLE, None, row),
            memory=memory,
        )
        return self.loop.start(request)

    def wait_for(self, handles: list[RunHandle]) -> None:
        while any(handle.result is None for handle in handles):
            self.loop.wait(60)

    def _open(self) -> ChatModel:
        return self.model  # type: ignore[return-value]


def test_at_most_as_many_runs_are_under_way_as_calls_may_be_in_flight() -> None:
    loops = Loops(most=4)

    handles = [loops.start(number) for number in range(20)]
    loops.wait_for(handles)
    loops.loop.close()

    assert loops.agent.most == 4
    assert all(handle.result is not None and handle.result.rejected is None for handle in handles)


def test_runs_that_wait_are_counted_and_start_when_there_may_be_more() -> None:
    seconds = iter(range(1000))
    loops = Loops(most=Concurrency(2, 3, clock=lambda: next(seconds), processor=lambda: 0.0))
    figures = loops.loop.figures

    handles = [loops.start(number) for number in range(20)]
    loops.wait_for(handles)
    loops.loop.close()

    assert loops.agent.most == 3
    assert (figures.runs_under_way, figures.runs_waiting) == (0, 0)


@pytest.mark.parametrize("do", ["exit", "cancel"])
def test_no_handler_can_end_the_loop(do: str) -> None:
    loops = Loops()

    bad = loops.start(1, do)
    good = loops.start(2)
    loops.wait_for([bad, good])
    loops.loop.close()

    assert bad.result is not None
    assert bad.result.rejected is not None
    assert bad.result.rejected.reason == "handler_error"
    assert good.result is not None
    assert good.result.rejected is None


@pytest.mark.parametrize(
    ("do", "memory", "raised"),
    [
        ("end all", None, KeyboardInterrupt),
        ("", codec.encode_memory(codec.Memory(1, 0, b"{")), UnreadableMemoryError),
        ("", b"\x63{}", UnreadableMemoryError),
    ],
)
def test_what_a_run_raises_reaches_who_asks_for_its_result(
    do: str, memory: bytes | None, raised: type[BaseException]
) -> None:
    loops = Loops(most=1)

    bad = loops.start(1, do, memory)
    loops.loop.wait(60)

    with pytest.raises(raised):
        _ = bad.result
    good = loops.start(2)
    loops.wait_for([good])
    loops.loop.close()


def test_closing_cancels_what_is_in_flight_and_leaves_no_thread() -> None:
    before = threading.active_count()
    loops = Loops()
    hanging = [loops.start(number, "hang") for number in range(3)]
    loops.wait_for([loops.start(9)])

    loops.loop.close()

    assert loops.agent.cancelled == 3
    assert all(handle.result is None for handle in hanging)
    assert loops.model.closed
    assert loops.embedding.closed
    assert threading.active_count() == before


def test_a_model_that_can_not_be_opened_fails_the_start() -> None:
    class Broken(Loops):
        def _open(self) -> ChatModel:
            raise OSError("no such key file")

    with pytest.raises(OSError, match="no such key file"):
        Broken()


def test_a_run_that_goes_on_after_a_step_is_told_of_once() -> None:
    loops = Loops()
    handle = loops.start(1, "step and hang")

    taken = until("a step is told of", loops.loop.take_stepped, 10)

    assert taken == [handle]
    assert [step.name for step in handle.finished_steps] == ["first"]
    assert loops.loop.take_stepped() == []
    loops.loop.close()


def test_waiting_for_nothing_returns_at_once() -> None:
    loops = Loops()

    loops.loop.wait(60)

    loops.loop.close()


def test_a_cancelled_run_ends_and_others_go_on() -> None:
    loops = Loops()
    hanging = loops.start(1, "hang")
    loops.wait_for([loops.start(2)])

    hanging.cancel()
    loops.wait_for([loops.start(3)])
    loops.loop.close()

    assert loops.agent.cancelled == 1
    assert hanging.result is None
