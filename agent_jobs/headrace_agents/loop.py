"""Runs on an asyncio loop in a thread of its own, so that the operator never waits for a model."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from headrace_agents.chat import ChatModel
from headrace_agents.codec import JournalEntry
from headrace_agents.embedding import EmbeddingModel
from headrace_agents.figures import gauge
from headrace_agents.model.concurrency import Concurrency
from headrace_agents.runs import AgentRuns, Attempt, RunHandle, RunRequest, RunResult

_CLOSE_TIMEOUT_S = 5.0


@dataclass(slots=True)
class RunFigures:
    """Of runs."""

    runs_under_way: int = gauge("Runs that are under way.")
    runs_waiting: int = gauge("Runs that wait until there may be more.")


class _Handle:
    """Written by the loop's thread, read by the operator's: attributes are enough."""

    __slots__ = ("_loop", "attempt", "ended", "task")

    attempt: Attempt

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ended: RunResult | BaseException | None = None
        self.task: asyncio.Task[None] | None = None
        self._loop = loop

    @property
    def result(self) -> RunResult | None:
        if isinstance(self.ended, BaseException):
            raise self.ended
        return self.ended

    @property
    def finished_steps(self) -> Sequence[JournalEntry]:
        return self.attempt.steps.finished

    def cancel(self) -> None:
        self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()


class RunLoop:
    """A :class:`Runner`. As many runs are under way as calls may be in flight, so that few wait for their
    calls; others wait, and their deadline with them. A key has one run at a time: their order is fair.

    Between the two threads are deques, whose ends are safe to use from both. The loop is woken once
    for all runs that it has not seen yet: each wake-up is a write to a socket.
    """

    def __init__(
        self,
        runs: AgentRuns,
        open_model: Callable[[], ChatModel | None],
        *,
        open_embedding: Callable[[], EmbeddingModel | None] = lambda: None,
        concurrency: Concurrency,
    ) -> None:
        self.figures = RunFigures()
        self._runs = runs
        self._open_model = open_model
        self._open_embedding = open_embedding
        self._concurrency = concurrency
        self._loop = asyncio.new_event_loop()
        self._waiting: deque[tuple[RunRequest, _Handle]] = deque()
        self._ended: deque[_Handle] = deque()
        self._stepped: deque[_Handle] = deque()
        self._woken = False
        self._changed = threading.Condition()
        self._under_way = 0
        """Started and not ended; changed under the condition."""
        self._ready: threading.Event = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._serve, name="headrace-runs", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def start(self, request: RunRequest) -> RunHandle:
        handle = _Handle(self._loop)
        handle.attempt = self._runs.attempt(request, partial(self._stepped.append, handle))
        with self._changed:
            self._under_way += 1
        self._waiting.append((request, handle))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._take)
        return handle

    def take_ended(self) -> list[RunHandle]:
        return _taken(self._ended)

    def take_stepped(self) -> list[RunHandle]:
        return _taken(self._stepped)

    def wait(self, at_most_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._ended) or not self._under_way, at_most_s)

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            # A handler that blocks the loop can't be ended; the thread is a daemon and ends with the worker.
            self._thread.join(_CLOSE_TIMEOUT_S)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._loop.close()

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        try:
            self._model = self._open_model()
            self._embedding = self._open_embedding()
        except Exception as error:  # noqa: BLE001 - raised again where the loop was asked for
            self._failure = error
            return
        finally:
            self._ready.set()
        await self._stop.wait()
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for model in (self._model, self._embedding):
            if model is not None:
                await model.close()

    def _take(self) -> None:
        # Before the look: what is added after it wakes the loop again.
        self._woken = False
        self._fill()

    def _fill(self) -> None:
        self._start_waiting()
        if self._waiting:
            self._concurrency.wanted()
            self._start_waiting()
        self.figures.runs_waiting = len(self._waiting)

    def _start_waiting(self) -> None:
        waiting, concurrency, figures = self._waiting, self._concurrency, self.figures
        while waiting and figures.runs_under_way < concurrency.limit:
            figures.runs_under_way += 1
            request, handle = waiting.popleft()
            handle.task = task = self._loop.create_task(self._run(request, handle))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, request: RunRequest, handle: _Handle) -> None:
        try:
            handle.ended = await self._runs.run(request, handle.attempt, self._model, self._embedding)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - it belongs to the operator, which the handle tells
            handle.ended = error
        finally:
            self.figures.runs_under_way -= 1
            with self._changed:
                self._under_way -= 1
                self._ended.append(handle)
                self._changed.notify_all()
            self._fill()


def _taken(handles: deque[_Handle]) -> list[RunHandle]:
    """What is in the deque by now; the other thread may add to it meanwhile."""
    taken: list[RunHandle] = []
    while handles:
        taken.append(handles.popleft())
    return taken
