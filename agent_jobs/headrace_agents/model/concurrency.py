"""How many calls are in flight at once: as many as the endpoint gains by, found by trying.

Additive increase, multiplicative decrease. The limit rises while somebody waits for it; it falls when calls
are refused or time out, and when calls take longer because there are so many of them. Whether that is why is
found by lowering it: a queue at the endpoint gets shorter, a slow model gets no faster
(``docs/decisions/0032-one-line-of-calls.md``).

Runs under way are bound by the same number: one that is started only to wait for its calls uses up its
deadline. Where the worker's own processor time is what is short, more at once would not end sooner.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from headrace_agents.figures import gauge
from headrace_agents.spec import AgentJobSpec, EmbeddingSpec, ModelSpec

ROUND_S = 0.5
"""The shortest time between two changes."""
ROUND_CALLS = 8
"""The fewest calls that a latency is judged by; as many as the limit where that is more."""
LOWERED = 0.75
"""What a limit is multiplied by when it is lowered: from where a queue is noticed to below the capacity, as
0.75 x :data:`INFLATED` is less than 1."""
INFLATED = 1.25
"""Times the latency at a lower limit: then, by Little's law, a fifth of the calls wait at the endpoint."""
STEPS = 16
"""Of the limit that was too high last, for one round's increase."""
LOOK_S, SOON_S = 30, 5
"""Between two looks at what a lower limit does, while the limit is in use; and where calls take longer.
By the wall clock: all subtasks look together, as one alone would lower a small part of the queue."""
HELD_S = 30.0
"""After a limit was too high: so long it stays below that."""
FELL_SHARE = 0.25
"""Of what the limit was lowered by, in latency: more means that there was a queue."""
ERRORS = 2
"""Standard errors by which latencies differ before they are believed to."""
PRECISION, PRECISE_CALLS = 0.05, 128
"""Standard error of a latency that another one is compared with, and the most calls that are waited for."""
SHORTEST_S = 0.05
"""Latencies below differ by what this process does, not by what the endpoint does."""

Seconds = Callable[[], float]


@dataclass(slots=True)
class ConcurrencyFigures:
    """Of calls at once."""

    concurrency_limit: int = gauge("Calls that may be in flight at once, and runs that may be under way.")
    calls_in_flight: int = gauge("Calls in flight.")


class Begun(NamedTuple):
    """A call in flight."""

    round: int
    at: float


class _Latency(NamedTuple):
    """Mean of logarithms of seconds, as few very long answers hardly change it, and its standard error."""

    mean: float
    error: float

    def over(self, other: _Latency, by: float) -> bool:
        """Whether it is longer by more than this, and by more than chance."""
        return self.mean - other.mean > max(by, ERRORS * math.hypot(self.error, other.error))


class _Round:
    """Calls begun under one limit, and how long they took."""

    def __init__(self, number: int, now: float, used: float, in_flight: int) -> None:
        self.number, self.began, self.used = number, now, used
        self.most_in_flight = in_flight
        self.wanted = self.paced = False
        self.calls = 0
        self._sum = self._squares = 0.0

    def add(self, latency_s: float) -> None:
        value = math.log(max(latency_s, SHORTEST_S))
        self.calls += 1
        self._sum += value
        self._squares += value * value

    @property
    def latency(self) -> _Latency:
        mean = self._sum / self.calls
        variance = max(0.0, self._squares / self.calls - mean * mean)
        return _Latency(mean, math.sqrt(variance / self.calls))

    @property
    def is_precise(self) -> bool:
        return self.calls >= PRECISE_CALLS or self.latency.error <= PRECISION


class Concurrency:
    """From 1 to ``most``, at first ``start``; used by one thread, but for :attr:`limit`, which any may read.

    Each :meth:`begin` is followed by exactly one :meth:`end`, with what it returned.
    ``busy_share`` of a processor core used in a round means that the worker is short of that.
    """

    def __init__(
        self,
        start: int,
        most: int,
        busy_share: float = 1.0,
        *,
        clock: Seconds = time.monotonic,
        wall_clock: Seconds = time.time,
        processor: Seconds = time.process_time,
    ) -> None:
        self.figures = ConcurrencyFigures(start)
        self._start, self._most = start, most
        self._busy_share = busy_share
        self._clock, self._wall_clock, self._processor = clock, wall_clock, processor
        self._round = _Round(0, clock(), processor(), 0)
        self._freed = asyncio.Event()
        self._lowered_in = 0
        """The first round after the last refusal: what began before was under a higher limit."""
        self._ceiling: int | None = None
        """Below what was last too high; None while nothing was."""
        self._held_until = -math.inf
        self._base: _Latency | None = None
        """At a lower limit; at first at the lowest there was."""
        self._looked_at = wall_clock()
        self._lowered: tuple[int, _Latency] | None = None
        """During a look: limit and latency from before."""

    @property
    def limit(self) -> int:
        return self.figures.concurrency_limit

    @property
    def has_room(self) -> bool:
        return self.figures.calls_in_flight < self.limit

    async def room(self) -> None:
        """Returns when a call may begin; for one waiter at a time."""
        while not self.has_room:
            self.wanted()
            self._freed.clear()
            await self._freed.wait()

    def wanted(self) -> None:
        """A call or a run waits because of the limit."""
        current = self._round
        current.wanted = True
        # Runs that do something else than calls need to be more before the endpoint notices.
        if (
            self._clock() - current.began >= 2 * ROUND_S
            and 2 * current.most_in_flight <= self.limit
            and self._may_grow()
        ):
            self._next(self._higher())

    def paced(self) -> None:
        """A call waited for a turn or for the breaker: what is short is not the limit."""
        self._round.paced = True

    def begin(self) -> Begun:
        figures, current = self.figures, self._round
        figures.calls_in_flight += 1
        current.most_in_flight = max(current.most_in_flight, figures.calls_in_flight)
        return Begun(current.number, self._clock())

    def end(self, call: Begun, *, usual: bool) -> None:
        """A call is over; ``usual`` where its answer took as long as answers do."""
        self.figures.calls_in_flight -= 1
        self._freed.set()
        current, now = self._round, self._clock()
        if usual and call.round == current.number:
            current.add(now - call.at)
            if current.calls >= max(ROUND_CALLS, self.limit) and now - current.began >= ROUND_S:
                self._judge(current)

    def refused(self, call: Begun, for_s: float = 0.0) -> None:
        """A call was too many: the endpoint said so; :meth:`end` follows.

        ``for_s`` is what it asked to be left alone for. Of calls begun under one limit the first one counts.
        """
        self._fall(call, 1, for_s)

    def hung(self, call: Begun) -> None:
        """A call had no answer in time, which may be why or not: never below the first limit."""
        self._fall(call, self._start, 0.0)

    def _fall(self, call: Begun, least: int, for_s: float) -> None:
        if call.round >= self._lowered_in and self.limit > least:
            self._lowered = None
            self._too_high(self.limit, for_s)
            self._next(max(least, _lower(self.limit)))
            self._lowered_in = self._round.number

    def _judge(self, ended: _Round) -> None:
        if not ended.wanted or ended.paced:
            # What is below its limit says nothing about it.
            lowered, self._lowered = self._lowered, None
            self._next(lowered[0] if lowered else self.limit)
        elif self._lowered is not None:
            if ended.is_precise:
                self._compare(ended.latency, *self._lowered)
        elif not self._may_grow():
            self._next(self.limit)
        else:
            self._try(ended)

    def _try(self, ended: _Round) -> None:
        """Another limit: a look at a lower one, or a higher one."""
        limit, latency = self.limit, ended.latency
        self._base = base = self._base or latency
        inflated = latency.over(base, math.log(INFLATED))
        if limit > 1 and self._is_due(SOON_S if inflated else LOOK_S):
            if ended.is_precise:
                self._lowered = limit, latency
                self._next(_lower(limit))
        else:
            self._next(limit if inflated else self._higher())

    def _is_due(self, every_s: int) -> bool:
        return self._wall_clock() // every_s != self._looked_at // every_s

    def _compare(self, latency: _Latency, before: int, latency_before: _Latency) -> None:
        limit = self.limit
        if limit > 1 and latency_before.over(latency, FELL_SHARE * math.log(before / limit)):
            # What was left out had only waited at the endpoint: there may be more of it.
            self._too_high(before)
            self._lowered = limit, latency
            self._next(_lower(limit))
        else:
            self._lowered, self._base, self._looked_at = None, latency, self._wall_clock()
            self._next(before)

    def _too_high(self, limit: int, for_s: float = 0.0) -> None:
        self._ceiling = max(1, limit - _step(limit))
        self._held_until = self._clock() + for_s + HELD_S

    def _may_grow(self) -> bool:
        now, current = self._clock(), self._round
        since = now - current.began
        busy = (self._processor() - current.used) / since if since > 0 else 0.0
        return busy < self._busy_share and not current.paced

    def _higher(self) -> int:
        """By half while nothing was too high, then by steps."""
        limit, ceiling = self.limit, self._ceiling
        if ceiling is None:
            return min(self._most, limit + max(1, limit // 2))
        most = max(limit, ceiling) if self._clock() < self._held_until else self._most
        return min(self._most, most, limit + _step(ceiling))

    def _next(self, limit: int) -> None:
        self.figures.concurrency_limit = limit
        in_flight = self.figures.calls_in_flight
        self._round = _Round(self._round.number + 1, self._clock(), self._processor(), in_flight)
        self._freed.set()


def _lower(limit: int) -> int:
    return max(1, min(limit - 1, int(limit * LOWERED)))


def _step(limit: int) -> int:
    return max(1, limit // STEPS)


def shared_out(spec: AgentJobSpec, subtasks: int) -> ModelSpec | None:
    """The model of one of so many subtasks: more than were planned have no more calls in flight together."""
    if spec.model is None or subtasks <= spec.parallelism:
        return spec.model
    model, start = spec.model, spec.model.concurrency
    return model.model_copy(
        update={
            "max_concurrency": _share(spec, model.max_concurrency, subtasks),
            "concurrency": None if start is None else _share(spec, start, subtasks),
            "fallbacks": tuple(
                each.model_copy(update={"max_concurrency": _share(spec, each.max_concurrency, subtasks)})
                for each in model.fallbacks
            ),
        }
    )


def embedding_shared_out(spec: AgentJobSpec, subtasks: int) -> EmbeddingSpec | None:
    """The embedding model of one of so many subtasks, as :func:`shared_out`."""
    if spec.embedding is None or subtasks <= spec.parallelism:
        return spec.embedding
    most = _share(spec, spec.embedding.max_concurrency, subtasks)
    return spec.embedding.model_copy(update={"max_concurrency": most})


def _share(spec: AgentJobSpec, each: int, subtasks: int) -> int:
    return max(1, each * spec.parallelism // subtasks)


def concurrency_of(spec: AgentJobSpec, model: ModelSpec | None) -> Concurrency:
    """Of a subtask with its share of the model; without a model a run waits for nothing that has a bound."""
    if model is None:
        return Concurrency(spec.limits.inbox_hard_events, spec.limits.inbox_hard_events)
    return Concurrency(
        model.concurrency or model.max_concurrency, model.max_concurrency, spec.runtime.busy_share
    )
