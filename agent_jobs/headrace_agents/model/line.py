"""The one line in which calls wait, fair over keys: one key's many calls hold up another's by one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from itertools import count

_FORGOTTEN_ABOVE = 1_024
"""Keys that are remembered although none of their calls wait."""


class Line:
    """One call at a time is at its head, and leaves it when it may be made.

    Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): a call's tag is where its key's last one
    ended, in what calls cost, or where the line is by now; the least tag is next. Used on one event loop.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._ends: dict[str, float] = {}
        """By key, the tag of its next call."""
        self._at = 0.0
        """The tag at the head."""
        self._taken = False

    @asynccontextmanager
    async def head(self, key: str, cost: float = 1.0) -> AsyncIterator[None]:
        """Entered when it is this call's turn; ``cost`` is above 0."""
        if self._taken:
            await self._wait(key, cost)
        self._taken = True
        try:
            yield
        finally:
            self._leave()

    async def _wait(self, key: str, cost: float) -> None:
        tag = max(self._at, self._ends.get(key, 0.0))
        self._ends[key] = tag + cost
        turn = asyncio.get_running_loop().create_future()
        heappush(self._heap, (tag, next(self._numbers), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                # What it would have cost, its key did not get.
                self._ends[key] = self._ends.get(key, cost) - cost
            else:
                self._leave()
            raise

    def _leave(self) -> None:
        while self._heap:
            self._at, _, turn = heappop(self._heap)
            if not turn.done():
                turn.set_result(None)
                self._forget()
                return
        self._taken = False
        self._at = 0.0
        self._ends.clear()

    def _forget(self) -> None:
        if len(self._ends) > _FORGOTTEN_ABOVE + 2 * len(self._heap):
            self._ends = {key: end for key, end in self._ends.items() if end > self._at}
