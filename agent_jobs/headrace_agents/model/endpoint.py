"""A model at one endpoint: attempts, a limit on the clock, a breaker and a bound of calls in flight over it.

A call's total time is bound by the run's deadline, which cancels it.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace

from headrace_agents.chat import ChatModel, ChatRequest, Completion, ModelError, ModelErrorKind
from headrace_agents.model.breaker import Breaker
from headrace_agents.model.metering import Charge, Meter
from headrace_agents.model.turns import Turns
from headrace_agents.slots import Slots
from headrace_agents.spec import ModelSpec

_FIRST_BACKOFF_S = 0.25
_MAX_BACKOFF_S = 8.0
_OF_THE_PROVIDER: frozenset[ModelErrorKind] = frozenset({"rate_limited", "overloaded", "timeout"})
"""More calls at once would only be more of these."""
_WORTH_ANOTHER: frozenset[ModelErrorKind] = _OF_THE_PROVIDER | {"malformed"}


@dataclass(slots=True)
class CallFigures:
    """Of this subtask since it started; an attempt is a call."""

    calls_in_flight: int = 0
    calls_answered: int = 0
    calls_limited: int = 0
    """Answered 429."""
    calls_failed: int = 0
    """In any other way."""


class Endpoint:
    """A :class:`ChatModel`, with at most ``max_concurrency`` calls at once.

    ``provider`` makes an attempt, and is closed with it. ``slots`` hear of what the provider can't take; each
    attempt waits until ``breaker`` lets it through and for one of ``turns``.
    """

    def __init__(
        self,
        spec: ModelSpec,
        provider: ChatModel,
        *,
        slots: Slots | None = None,
        turns: Turns | None = None,
        breaker: Breaker | None = None,
        meter: Meter | None = None,
        figures: CallFigures | None = None,
    ) -> None:
        self.figures = figures or CallFigures()
        self._meter = meter or Meter(spec, None, None)
        self._slots = slots
        self._turns = turns
        self._breaker = breaker or Breaker()
        self._probes: set[asyncio.Task[Completion]] = set()
        self._spec = spec
        self._provider = provider
        self._free = asyncio.Semaphore(spec.max_concurrency)

    async def complete(self, request: ChatRequest) -> Completion:
        request = _bounded(request, self._spec.max_output_tokens)
        for attempt in range(1, self._spec.max_attempts + 1):
            try:
                async with self._free:
                    return await self._let_through(request)
            except ModelError as error:
                if error.kind not in _WORTH_ANOTHER or attempt == self._spec.max_attempts:
                    raise
                await asyncio.sleep(_pause_s(attempt, error.retry_after_s))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def close(self) -> None:
        probes = list(self._probes)
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        self._meter.close()
        await self._provider.close()

    async def _let_through(self, request: ChatRequest) -> Completion:
        """One attempt, once the endpoint takes calls and its limit has room."""
        charge = await self._meter.charge(request)
        try:
            token = await self._turn()
        except BaseException:
            charge.not_made()
            raise
        if not self._breaker.is_probe(token):
            return await self._heard(token, request, charge)
        # What a probe finds out is not lost with the run that it was made for: that run has waited longest.
        probe = asyncio.create_task(self._heard(token, request, charge))
        self._probes.add(probe)
        probe.add_done_callback(self._probe_ended)
        return await asyncio.shield(probe)

    def _probe_ended(self, probe: asyncio.Task[Completion]) -> None:
        self._probes.discard(probe)
        if not probe.cancelled():
            probe.exception()  # looked at, as nobody may wait for it any more

    async def _turn(self) -> int:
        """The breaker's token, when a call may be made."""
        breaker = self._breaker
        while True:
            token = await breaker.enter()
            if self._turns is None:
                return token
            try:
                await self._turns.wait()
            except BaseException:
                breaker.abandoned(token)
                raise
            if breaker.lets(token):
                return token
            breaker.abandoned(token)

    async def _heard(self, token: int, request: ChatRequest, charge: Charge) -> Completion:
        """An attempt, of whose end the breaker hears."""
        breaker = self._breaker
        try:
            completion = await self._counted(request, charge)
        except ModelError as error:
            if error.kind in _OF_THE_PROVIDER:
                breaker.failed(token, error.retry_after_s)
            else:
                breaker.answered(token)
            raise
        except BaseException:
            breaker.abandoned(token)
            raise
        breaker.answered(token)
        return completion

    async def _counted(self, request: ChatRequest, charge: Charge) -> Completion:
        figures = self.figures
        figures.calls_in_flight += 1
        try:
            completion = await self._attempt(request)
        except ModelError as error:
            charge.failed(error)
            if error.kind == "rate_limited":
                figures.calls_limited += 1
            else:
                figures.calls_failed += 1
            if self._slots is not None and error.kind in _OF_THE_PROVIDER:
                self._slots.limited(error.retry_after_s or 0.0)
            raise
        except BaseException:
            charge.unanswered()
            raise
        finally:
            figures.calls_in_flight -= 1
        charge.answered(completion.usage)
        figures.calls_answered += 1
        return completion

    async def _attempt(self, request: ChatRequest) -> Completion:
        try:
            async with asyncio.timeout(self._spec.timeout_ms / 1000):
                return await self._provider.complete(request)
        except TimeoutError as error:
            late = f"no answer within {self._spec.timeout_ms} ms"
            raise ModelError("timeout", late, taken="unknown") from error


def _bounded(request: ChatRequest, most: int | None) -> ChatRequest:
    """No answer puts out more than the model's bound."""
    if most is None or (request.max_output_tokens is not None and request.max_output_tokens <= most):
        return request
    return replace(request, max_output_tokens=most)


def _pause_s(attempt: int, retry_after_s: float | None) -> float:
    """Full jitter, on top of what the endpoint asked for."""
    longest = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** (attempt - 1))
    return (retry_after_s or 0.0) + random.uniform(0, longest)  # noqa: S311 - spreads retries, keeps no secret
