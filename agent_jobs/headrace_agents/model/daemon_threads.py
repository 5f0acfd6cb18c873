"""Threads for calls that block and can't be cancelled.

They are daemons: one that hangs holds up no end of the process, as those of ``concurrent.futures`` and
asyncio would, which are joined at the interpreter's exit.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

R = TypeVar("R")


class _Work(NamedTuple):
    function: Callable[[], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class DaemonThreads:
    """At most ``most`` threads, started as they are needed. Used on one event loop.

    A call whose waiter is cancelled goes on in its thread, and nobody hears of its end; one that waits for a
    thread is never made then. So what is abandoned takes no more than ``most`` threads, and others wait.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._threads = 0
        self._open = 0
        """Calls that wait for a thread or are in one; changed under the lock."""
        self._lock = threading.Lock()

    async def run(self, function: Callable[[], R]) -> R:
        """What the function returns or raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        with self._lock:
            self._open += 1
            wanted = self._threads < min(self._open, self._most)
            self._threads += wanted
        if wanted:
            threading.Thread(target=self._serve, name=self._name, daemon=True).start()
        self._work.put(_Work(function, future, loop))
        return await future

    def close(self) -> None:
        """Threads end when they have nothing to do; no call may follow."""
        for _ in range(self._threads):
            self._work.put(None)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            result, raised = None, None
            if not work.future.cancelled():
                try:
                    result = work.function()
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                    raised = error
            with self._lock:
                self._open -= 1
            try:
                work.loop.call_soon_threadsafe(_settle, work.future, result, raised)
            except RuntimeError:
                """The loop is closed: nobody waits."""


def _settle(future: asyncio.Future[Any], result: object, raised: BaseException | None) -> None:
    if future.cancelled():
        return
    if raised is None:
        future.set_result(result)
    else:
        future.set_exception(raised)
