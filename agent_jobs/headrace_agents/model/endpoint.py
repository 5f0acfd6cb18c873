"""A model at one endpoint: attempts, a limit on the clock, a breaker and a bound of calls in flight over it.

A call's total time is bound by the run's deadline, which cancels it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from headrace_agents.chat import ChatModel, ChatRequest, Completion, ModelError, ModelErrorKind
from headrace_agents.consequences import ALONE, Consequences
from headrace_agents.model.breaker import Breaker, OpenError
from headrace_agents.model.turns import Turns
from headrace_agents.slots import Slots
from headrace_agents.spec import EndpointSpec

_FIRST_BACKOFF_S = 0.25
_MAX_BACKOFF_S = 8.0
_OF_THE_PROVIDER: frozenset[ModelErrorKind] = frozenset({"rate_limited", "overloaded", "timeout"})
"""More calls at once would only be more of these."""


@dataclass(slots=True)
class CallFigures:
    """Of this subtask since it started; an attempt is a call."""

    calls_in_flight: int = 0
    calls_answered: int = 0
    calls_limited: int = 0
    """Answered 429."""
    calls_failed: int = 0
    """In any other way."""
    calls_hedged: int = 0
    """Made beside one that took long."""


@dataclass(slots=True)
class _Call:
    request: ChatRequest
    made: int = 0
    """Attempts that went out."""


class Endpoint:
    """A :class:`ChatModel`, with at most ``max_concurrency`` calls at once.

    ``provider`` makes an attempt, and is closed with it. ``slots`` hear of what the provider can't take; each
    attempt waits until ``breaker`` lets it through and for one of ``turns``. A call of which ``consequences``
    say that it falls back does neither: where it would wait at the breaker, or longer than an attempt for
    its turn, it has failed.
    """

    def __init__(
        self,
        spec: EndpointSpec,
        provider: ChatModel,
        *,
        slots: Slots | None = None,
        turns: Turns | None = None,
        breaker: Breaker | None = None,
        figures: CallFigures | None = None,
        consequences: Consequences = ALONE,
    ) -> None:
        self.figures = figures or CallFigures()
        self._slots = slots
        self._turns = turns
        self._breaker = breaker or Breaker()
        self._opened_by: ModelErrorKind = "overloaded"
        """The last failure that the breaker heard of."""
        self._probes: set[asyncio.Task[Completion]] = set()
        self._spec = spec
        self._provider = provider
        self._consequences = consequences
        self._free = asyncio.Semaphore(spec.max_concurrency)

    async def complete(self, request: ChatRequest) -> Completion:
        call = _Call(request)
        while True:
            try:
                if self._breaker.would_wait and not self._waits():
                    raise self._open_error()
                async with self._free:
                    completion = await self._let_through(call)
            except ModelError as error:
                if self._consequences[error.kind] != "wait" or call.made >= self._spec.max_attempts:
                    raise
                await asyncio.sleep(_pause_s(call.made, error.retry_after_s))
            else:
                return replace(completion, model=self._spec.name)

    async def close(self) -> None:
        for probe in self._probes:
            probe.cancel()
        await self._provider.close()

    async def _let_through(self, call: _Call) -> Completion:
        """One attempt, once the endpoint takes calls and its limit has room; or two, one as a hedge."""
        try:
            token = await self._turn(self._waits)
        except OpenError:
            raise self._open_error() from None
        if self._breaker.is_probe(token):
            # What a probe finds out is not lost with the run that it is made for, which has waited longest.
            probe = asyncio.create_task(self._heard(token, call))
            self._probes.add(probe)
            probe.add_done_callback(self._probe_ended)
            return await asyncio.shield(probe)
        if self._spec.hedge_after_ms is None:
            return await self._heard(token, call)
        return await self._hedged(token, call, self._spec.hedge_after_ms / 1000)

    def _probe_ended(self, probe: asyncio.Task[Completion]) -> None:
        self._probes.discard(probe)
        if not probe.cancelled():
            probe.exception()  # looked at, as nobody may wait for it any more

    def _waits(self) -> bool:
        """Whether calls wait at the breaker, for an end of what opened it."""
        return self._consequences[self._opened_by] != "fall_back"

    def _open_error(self) -> ModelError:
        return ModelError(
            self._opened_by, f"{self._spec.endpoint} failed and is given time: its breaker is open"
        )

    async def _turn(self, waits: Callable[[], bool]) -> int:
        """The breaker's token, when a call may be made."""
        breaker = self._breaker
        while True:
            token = await breaker.enter(waits)
            if self._turns is None:
                return token
            try:
                self._check_wait(self._turns)
                await self._turns.wait()
            except BaseException:
                breaker.abandoned(token)
                raise
            if breaker.lets(token):
                return token
            breaker.abandoned(token)

    def _check_wait(self, turns: Turns) -> None:
        if (
            self._consequences["rate_limited"] == "fall_back"
            and turns.wait_s() * 1000 > self._spec.timeout_ms
        ):
            limit, longest = self._spec.requests_per_minute, self._spec.timeout_ms
            raise ModelError("rate_limited", f"no turn within {longest} ms, of {limit} requests a minute")

    async def _hedged(self, token: int, call: _Call, after_s: float) -> Completion:
        """The first answer of two attempts, the second made where the first takes long; the other ends."""
        racing = {asyncio.create_task(self._heard(token, call))}
        try:
            await asyncio.wait(racing, timeout=after_s)
            hedge: asyncio.Task[Completion] | None = None
            (first,) = racing
            if not first.done() and self._may_hedge(call):
                hedge = asyncio.create_task(self._hedge(call))
                racing.add(hedge)
            return await self._first_answer(first, hedge, call)
        finally:
            for each in racing:
                each.cancel()
            await asyncio.gather(*racing, return_exceptions=True)

    def _may_hedge(self, call: _Call) -> bool:
        """Where calls wait already, a second one of the same would only make others wait longer."""
        return self._breaker.is_closed and call.made < self._spec.max_attempts and not self._free.locked()

    async def _hedge(self, call: _Call) -> Completion:
        async with self._free:
            token = await self._turn(lambda: False)
            if self._breaker.is_probe(token):
                self._breaker.abandoned(token)
                raise OpenError
            self.figures.calls_hedged += 1
            return await self._heard(token, call)

    async def _first_answer(
        self, first: asyncio.Task[Completion], hedge: asyncio.Task[Completion] | None, call: _Call
    ) -> Completion:
        if hedge is None:
            return await first
        made = call.made
        await asyncio.wait((first, hedge), return_when=asyncio.FIRST_COMPLETED)
        if hedge.done() and hedge.exception() is None:
            return hedge.result()
        if first.done() and first.exception() is not None and call.made > made:
            return await hedge
        return await first

    async def _heard(self, token: int, call: _Call) -> Completion:
        """An attempt, of whose end the breaker hears."""
        breaker = self._breaker
        call.made += 1
        try:
            completion = await self._counted(call.request)
        except ModelError as error:
            if error.kind in _OF_THE_PROVIDER:
                self._opened_by = error.kind
                breaker.failed(token, error.retry_after_s)
            else:
                breaker.answered(token)
            raise
        except BaseException:
            breaker.abandoned(token)
            raise
        breaker.answered(token)
        return completion

    async def _counted(self, request: ChatRequest) -> Completion:
        figures = self.figures
        figures.calls_in_flight += 1
        try:
            completion = await self._attempt(request)
        except ModelError as error:
            if error.kind == "rate_limited":
                figures.calls_limited += 1
            else:
                figures.calls_failed += 1
            if self._slots is not None and error.kind in _OF_THE_PROVIDER:
                self._slots.limited(error.retry_after_s or 0.0)
            raise
        finally:
            figures.calls_in_flight -= 1
        figures.calls_answered += 1
        return completion

    async def _attempt(self, request: ChatRequest) -> Completion:
        try:
            async with asyncio.timeout(self._spec.timeout_ms / 1000):
                return await self._provider.complete(request)
        except TimeoutError as error:
            raise ModelError("timeout", f"no answer within {self._spec.timeout_ms} ms") from error


def _pause_s(attempt: int, retry_after_s: float | None) -> float:
    """Full jitter, on top of what the endpoint asked for."""
    longest = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** (attempt - 1))
    return (retry_after_s or 0.0) + random.uniform(0, longest)  # noqa: S311 - spreads retries, keeps no secret
