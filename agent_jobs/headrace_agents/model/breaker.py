"""Keeps calls from an endpoint that can't take them, and finds out with one call at a time when it can.

A circuit breaker: closed, calls pass; open, they wait; then one of them, the probe, is let through, and what
becomes of it closes the breaker or keeps it open. Calls wait in their order, each no longer than its run's
deadline, and nothing that waits has cost an attempt.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from headrace_agents.figures import counter, gauge

OPENS_AFTER = 5
"""Failures one after the other, with no answer between: fewer are bad luck."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
"""Before a probe where the endpoint does not say: doubled each time, with jitter from half of it up."""
_DOUBLINGS = 4
"""From the first pause past the longest."""


@dataclass(slots=True)
class BreakerFigures:
    """Of the circuit breaker."""

    breaker_open: int = gauge("1 while calls wait for the endpoint to come back.")
    breaker_openings: int = counter("Times that it opened.")
    breaker_probes: int = counter("Calls that were made to find out.")


class OpenError(Exception):
    """A call that does not wait found the breaker open."""


class Breaker:
    """Of one endpoint; used on one event loop.

    Each :meth:`enter` is followed by exactly one of :meth:`answered`, :meth:`failed` and :meth:`abandoned`,
    with the token that it returned.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.figures = BreakerFigures()
        self._clock, self._spread = clock, spread
        self._order = asyncio.Lock()
        self._settled = asyncio.Event()
        self._open_until: float | None = None
        self._failures = 0
        """One after the other."""
        self._pauses = 0
        """Since it was closed."""
        self._entered = 0
        self._old = 0
        """The last token from before it was closed."""
        self._probe: int | None = None
        """The token of the call that is let through."""

    @property
    def is_closed(self) -> bool:
        return self._open_until is None

    async def enter(self, waits: Callable[[], bool] = lambda: True) -> int:
        """Returns when the call may be made.

        Raises OpenError where it would have to wait and ``waits`` says that it does not; that is asked again
        after each probe.
        """
        if self._open_until is not None or self._order.locked():
            if self._order.locked() and not waits():
                raise OpenError
            async with self._order:
                while self._open_until is not None and not self._may_probe():
                    if not waits():
                        raise OpenError
                    await self._wait(self._open_until)
                self._entered += 1
                if self._open_until is not None:
                    self._probe = self._entered
                    self.figures.breaker_probes += 1
        else:
            self._entered += 1
        return self._entered

    @property
    def would_wait(self) -> bool:
        """Whether a call would have to wait by now."""
        return self._order.locked() or not (self.is_closed or self._may_probe())

    def is_probe(self, token: int) -> bool:
        return token == self._probe

    def lets(self, token: int) -> bool:
        """Whether the call may still be made: it may have been opened since."""
        return self._open_until is None or self.is_probe(token)

    def answered(self, token: int) -> None:
        """The endpoint works; an answer to a call from before it was opened says nothing."""
        if self._open_until is None:
            self._failures = 0
        elif self.is_probe(token):
            self._open_until, self._failures, self._pauses, self._old = None, 0, 0, self._entered
            self.figures.breaker_open = 0
            self._settle()

    def failed(self, token: int, retry_after_s: float | None = None) -> None:
        """The endpoint could not take the call; ``retry_after_s`` is what it asked for."""
        if self.is_probe(token):
            self._settle()
            self._open(max(retry_after_s or 0.0, self._pause_s()))
            return
        if token > self._old:
            self._failures += 1
        if retry_after_s is not None:
            self._open(retry_after_s)
        elif self._open_until is None and self._failures >= OPENS_AFTER:
            self._open(self._pause_s())

    def abandoned(self, token: int) -> None:
        """Nobody waits for the call any more: another one may find out."""
        if self.is_probe(token):
            self._settle()

    def _pause_s(self) -> float:
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._pauses, _DOUBLINGS))
        self._pauses += 1
        return self._spread(longest / 2, longest)

    def _may_probe(self) -> bool:
        return self._probe is None and self._open_until is not None and self._clock() >= self._open_until

    async def _wait(self, until: float) -> None:
        if self._probe is not None:
            await self._settled.wait()
        else:
            await asyncio.sleep(max(0.0, until - self._clock()))

    def _open(self, for_s: float) -> None:
        if self._open_until is None:
            self.figures.breaker_openings += 1
            self.figures.breaker_open = 1
        until = self._clock() + for_s
        self._open_until = max(until, self._open_until or until)

    def _settle(self) -> None:
        """The probe is over: the next in order looks again."""
        self._probe = None
        self._settled.set()
        self._settled = asyncio.Event()
