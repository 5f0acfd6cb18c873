"""Processor time that this process needs: what it uses, and what it waits for while others use the cores.

Where a machine is full a worker that could use all of a core gets less: by what it uses alone it looks idle.
Linux keeps both for each thread (``/proc/PID/task/TID/schedstat``, nanoseconds used and waited for).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

LOOK_S = 1.0
"""A look reads a file for each thread: more rarely than gauges are read."""
_NS_IN_MS = 1_000_000

WaitedNs = Callable[[], Mapping[str, int]]


class Needed:
    """What the process needed since it started: it only grows, though threads end."""

    def __init__(
        self,
        waited_ns: WaitedNs | None = None,
        used_ns: Callable[[], int] = time.process_time_ns,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waited_ns = waited_ns or waited_by_thread_ns
        self._used_ns = used_ns
        self._clock = clock
        self._looked_at = float("-inf")
        self._by_thread: Mapping[str, int] = {}
        self._waited = 0

    def ms(self) -> int:
        """Milliseconds of all threads together, used and waited for."""
        now = self._clock()
        if now - self._looked_at >= LOOK_S:
            found, before = self._waited_ns(), self._by_thread
            self._waited += sum(max(0, ns - before.get(thread, 0)) for thread, ns in found.items())
            self._looked_at, self._by_thread = now, found
        return (self._used_ns() + self._waited) // _NS_IN_MS


def waited_by_thread_ns() -> dict[str, int]:
    """Of the threads there are; a kernel that keeps no account of it has none."""
    found: dict[str, int] = {}
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError, ValueError):
            _, waited, _ = (thread / "schedstat").read_text(encoding="ascii").split()
            found[thread.name] = int(waited)
    return found
