"""Simulated time for asyncio, and a model with a capacity that nobody is told."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from headrace_agents.chat import ChatRequest, Completion, ModelError, Usage

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Waits for nothing: the time that it would have waited for has passed."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everything waits for ever")
        self.now += max(0.0, timeout)
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Its clock moves to the next timer when nothing is left to do."""

    def __init__(self) -> None:
        self._simulated = _Selector()
        super().__init__(self._simulated)

    def time(self) -> float:
        return self._simulated.now


def now() -> float:
    """Simulated seconds; within :func:`simulate`."""
    return asyncio.get_running_loop().time()


def simulate(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)


class CapacityModel:
    """Works on ``capacity`` calls at once. Others queue, in order; or are refused, if it ``refuses``."""

    def __init__(
        self,
        capacity: int,
        latency_s: float,
        *,
        spread: float = 0.0,
        refuses: bool = False,
        retry_after_s: float | None = None,
        usage: Usage | None = None,
        seed: int = 1,
    ) -> None:
        self.capacity = capacity
        self.latency_s = latency_s
        self.answered: list[float] = []
        """When."""
        self.asked: list[tuple[float, str]] = []
        """When, and for which key."""
        self._spread, self._refuses, self._retry_after_s = spread, refuses, retry_after_s
        self._usage = usage or Usage()
        self._random = random.Random(seed)
        self._working = 0
        self._queue: list[asyncio.Future[None]] = []

    async def complete(self, request: ChatRequest) -> Completion:
        self.asked.append((now(), request.caller.key_hash if request.caller else ""))
        if self._refuses and self._working >= self.capacity:
            await asyncio.sleep(0.01)
            raise ModelError("rate_limited", "429", retry_after_s=self._retry_after_s)
        if self._working >= self.capacity:
            self._queue.append(turn := asyncio.get_running_loop().create_future())
            await turn
        else:
            self._working += 1
        try:
            await asyncio.sleep(self.latency_s * self._random.lognormvariate(0, self._spread))
        finally:
            self._working -= 1
            self._hand_on()
        self.answered.append(now())
        return Completion("yes", usage=self._usage)

    def _hand_on(self) -> None:
        while self._queue and self._working < self.capacity:
            turn = self._queue.pop(0)
            if not turn.done():
                self._working += 1
                turn.set_result(None)

    async def close(self) -> None:
        """Nothing is open."""
