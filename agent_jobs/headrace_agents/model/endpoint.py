"""A model at one endpoint: attempts, a limit on the clock, a breaker and a bound of calls in flight over it.

What is called may be a chat model or an embedding model: the layer knows of neither.

A call's total time is bound by the run's deadline, which cancels it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from headrace_agents.chat import ChatModel, ChatRequest, Completion, ModelError, ModelErrorKind, Usage
from headrace_agents.embedding import EmbeddingModel, EmbeddingRequest, Embeddings
from headrace_agents.model.breaker import Breaker
from headrace_agents.model.metering import Charge, Meter
from headrace_agents.model.turns import Turns
from headrace_agents.slots import Slots
from headrace_agents.spec import EndpointSpec, ModelSpec

_FIRST_BACKOFF_S = 0.25
_MAX_BACKOFF_S = 8.0
_OF_THE_PROVIDER: frozenset[ModelErrorKind] = frozenset({"rate_limited", "overloaded", "timeout"})
"""More calls at once would only be more of these."""
_WORTH_ANOTHER: frozenset[ModelErrorKind] = _OF_THE_PROVIDER | {"malformed"}


class Answer(Protocol):
    """What an attempt gives."""

    @property
    def usage(self) -> Usage: ...


R = TypeVar("R", bound=Answer)
Attempt = Callable[[], Coroutine[Any, Any, R]]
"""Asks the provider once; raises ModelError."""
Charging = Callable[[], Awaitable[Charge]]
"""Reserves what an attempt may take; raises ModelError (``budget``)."""


async def nothing_charged() -> Charge:
    """Where nobody counts."""
    return Charge()


@dataclass(frozen=True, slots=True)
class _Asked(Generic[R]):
    attempt: Attempt[R]
    charging: Charging


class Provider(Protocol):
    """Whatever makes attempts."""

    async def close(self) -> None: ...


P = TypeVar("P", bound=Provider)


@dataclass(slots=True)
class CallFigures:
    """Of this subtask since it started; an attempt is a call."""

    calls_in_flight: int = 0
    calls_answered: int = 0
    calls_limited: int = 0
    """Answered 429."""
    calls_failed: int = 0
    """In any other way."""


class Calls(Generic[P]):
    """The layer, with at most ``max_concurrency`` calls at once.

    ``provider`` makes an attempt, and is closed with it. ``slots`` hear of what the provider can't take; each
    attempt waits until ``breaker`` lets it through and for one of ``turns``.
    """

    def __init__(
        self,
        spec: EndpointSpec,
        provider: P,
        *,
        slots: Slots | None = None,
        turns: Turns | None = None,
        breaker: Breaker | None = None,
        figures: CallFigures | None = None,
    ) -> None:
        self.figures = figures or CallFigures()
        self._slots = slots
        self._turns = turns
        self._breaker = breaker or Breaker()
        self._probes: set[asyncio.Task[Any]] = set()
        self._spec = spec
        self._provider = provider
        self._free = asyncio.Semaphore(spec.max_concurrency)

    async def called(self, attempt: Attempt[R], charging: Charging = nothing_charged) -> R:
        """What an attempt gave. Raises the ModelError of the last one that was allowed."""
        asked = _Asked(attempt, charging)
        for number in range(1, self._spec.max_attempts + 1):
            try:
                async with self._free:
                    return await self._let_through(asked)
            except ModelError as error:
                if error.kind not in _WORTH_ANOTHER or number == self._spec.max_attempts:
                    raise
                await asyncio.sleep(_pause_s(number, error.retry_after_s))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def close(self) -> None:
        probes = list(self._probes)
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        await self._provider.close()

    async def _let_through(self, asked: _Asked[R]) -> R:
        """One attempt, once the endpoint takes calls and its limit has room."""
        charge = await asked.charging()
        try:
            token = await self._turn()
        except BaseException:
            charge.not_made()
            raise
        if not self._breaker.is_probe(token):
            return await self._heard(token, asked, charge)
        # What a probe finds out is not lost with the run that it was made for: that run has waited longest.
        probe = asyncio.create_task(self._heard(token, asked, charge))
        self._probes.add(probe)
        probe.add_done_callback(self._probe_ended)
        return await asyncio.shield(probe)

    def _probe_ended(self, probe: asyncio.Task[Any]) -> None:
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

    async def _heard(self, token: int, asked: _Asked[R], charge: Charge) -> R:
        """An attempt, of whose end the breaker hears."""
        breaker = self._breaker
        try:
            given = await self._counted(asked, charge)
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
        return given

    async def _counted(self, asked: _Asked[R], charge: Charge) -> R:
        figures = self.figures
        figures.calls_in_flight += 1
        try:
            given = await self._in_time(asked.attempt)
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
        charge.answered(given.usage)
        figures.calls_answered += 1
        return given

    async def _in_time(self, attempt: Attempt[R]) -> R:
        try:
            async with asyncio.timeout(self._spec.timeout_ms / 1000):
                return await attempt()
        except TimeoutError as error:
            late = f"no answer within {self._spec.timeout_ms} ms"
            raise ModelError("timeout", late, taken="unknown") from error


def _bounded(request: ChatRequest, most: int | None) -> ChatRequest:
    """No answer puts out more than the model's bound."""
    if most is None or (request.max_output_tokens is not None and request.max_output_tokens <= most):
        return request
    return replace(request, max_output_tokens=most)


class Endpoint(Calls[ChatModel]):
    """A :class:`ChatModel` over one that asks once. ``meter`` is closed with it."""

    def __init__(
        self, spec: ModelSpec, provider: ChatModel, *, meter: Meter | None = None, **layers: Any
    ) -> None:
        super().__init__(spec, provider, **layers)
        self._most_output_tokens = spec.max_output_tokens
        self._meter = meter or Meter(spec, None, None)

    async def complete(self, request: ChatRequest) -> Completion:
        request = _bounded(request, self._most_output_tokens)
        return await self.called(
            partial(self._provider.complete, request), partial(self._meter.charge, request)
        )

    async def close(self) -> None:
        await super().close()
        self._meter.close()


class EmbeddingEndpoint(Calls[EmbeddingModel]):
    """An :class:`EmbeddingModel` over one that asks once."""

    @property
    def most_texts(self) -> int:
        return self._provider.most_texts

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        return await self.called(partial(self._provider.embed, request))


def _pause_s(attempt: int, retry_after_s: float | None) -> float:
    """Full jitter, on top of what the endpoint asked for."""
    longest = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** (attempt - 1))
    return (retry_after_s or 0.0) + random.uniform(0, longest)  # noqa: S311 - spreads retries, keeps no secret
