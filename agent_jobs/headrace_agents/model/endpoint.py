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
from headrace_agents.consequences import ALONE, Consequences
from headrace_agents.embedding import EmbeddingModel, EmbeddingRequest, Embeddings
from headrace_agents.model.amounts import most_of, most_of_texts
from headrace_agents.model.breaker import Breaker, OpenError
from headrace_agents.model.hedging import hedged
from headrace_agents.model.metering import Charge, Meter
from headrace_agents.model.turns import Turns
from headrace_agents.slots import Slots
from headrace_agents.spec import ChatEndpointSpec, EmbeddingSpec, EndpointSpec

_FIRST_BACKOFF_S = 0.25
_MAX_BACKOFF_S = 8.0
_OF_THE_PROVIDER: frozenset[ModelErrorKind] = frozenset({"rate_limited", "overloaded", "timeout"})
"""More calls at once would only be more of these."""


class Answer(Protocol):
    """What an attempt gives."""

    @property
    def usage(self) -> Usage: ...


R = TypeVar("R", bound=Answer)
Attempt = Callable[[], Coroutine[Any, Any, R]]
"""Asks the provider once; raises ModelError."""


class Charging(Protocol):
    """Reserves what an attempt may take; raises ModelError (``budget``)."""

    def __call__(self, *, waits: bool = True) -> Awaitable[Charge]: ...


@dataclass(slots=True)
class _Call(Generic[R]):
    attempt: Attempt[R]
    charging: Charging
    made: int = 0
    """Attempts that went out."""


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
    calls_hedged: int = 0
    """Made beside one that took long."""


class Calls(Generic[P]):
    """The layer, with at most ``max_concurrency`` calls at once.

    ``provider`` makes an attempt, and is closed with it. ``slots`` hear of what the provider can't take; each
    attempt waits until ``breaker`` lets it through and for one of ``turns``. A call of which ``consequences``
    say that it falls back does neither: where it would wait at the breaker, or longer than an attempt for
    its turn, it has failed. ``hedge_after_ms``: a second attempt is made beside one that takes as long.
    """

    def __init__(  # noqa: PLR0913 - what is around an attempt, each by name
        self,
        spec: EndpointSpec,
        provider: P,
        *,
        slots: Slots | None = None,
        turns: Turns | None = None,
        breaker: Breaker | None = None,
        figures: CallFigures | None = None,
        consequences: Consequences = ALONE,
        hedge_after_ms: int | None = None,
    ) -> None:
        self.figures = figures or CallFigures()
        self._slots = slots
        self._turns = turns
        self._breaker = breaker or Breaker()
        self._opened_by: ModelErrorKind = "overloaded"
        """The last failure that the breaker heard of."""
        self._probes: set[asyncio.Task[Any]] = set()
        self._spec = spec
        self._provider = provider
        self._consequences = consequences
        self._hedge_after_ms = hedge_after_ms
        self._free = asyncio.Semaphore(spec.max_concurrency)

    async def called(self, attempt: Attempt[R], charging: Charging) -> R:
        """What an attempt gave. Raises the ModelError of the last one that was allowed."""
        call = _Call(attempt, charging)
        while True:
            try:
                if self._breaker.would_wait and not self._waits():
                    raise self._open_error()
                async with self._free:
                    return await self._let_through(call)
            except ModelError as error:
                if self._consequences[error.kind] != "wait" or call.made >= self._spec.max_attempts:
                    raise
                await asyncio.sleep(_pause_s(call.made, error.retry_after_s))

    async def close(self) -> None:
        probes = list(self._probes)
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        await self._provider.close()

    async def _let_through(self, call: _Call[R]) -> R:
        """One attempt, once the endpoint takes calls and its limit has room; or two, one as a hedge."""
        charge = await call.charging()
        try:
            token = await self._turn(self._waits)
        except OpenError:
            charge.not_made()
            raise self._open_error() from None
        except BaseException:
            charge.not_made()
            raise
        attempt = self._heard(token, call, charge)
        if self._breaker.is_probe(token):
            # What a probe finds out is not lost with the run that it is made for, which has waited longest.
            probe = asyncio.create_task(attempt)
            self._probes.add(probe)
            probe.add_done_callback(self._probe_ended)
            return await asyncio.shield(probe)
        if self._hedge_after_ms is None:
            return await attempt
        return await hedged(
            call,
            attempt,
            lambda: self._hedge(call),
            lambda: self._may_hedge(call),
            self._hedge_after_ms / 1000,
        )

    def _probe_ended(self, probe: asyncio.Task[Any]) -> None:
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

    def _may_hedge(self, call: _Call[R]) -> bool:
        """Where calls wait already, a second one of the same would only make others wait longer."""
        return self._breaker.is_closed and call.made < self._spec.max_attempts and not self._free.locked()

    async def _hedge(self, call: _Call[R]) -> R:
        async with self._free:
            charge = await call.charging(waits=False)
            try:
                token = await self._turn_of_hedge()
            except BaseException:
                charge.not_made()
                raise
            self.figures.calls_hedged += 1
            return await self._heard(token, call, charge)

    async def _turn_of_hedge(self) -> int:
        """A hedge is no probe: who waits longest is to find out."""
        token = await self._turn(lambda: False)
        if self._breaker.is_probe(token):
            self._breaker.abandoned(token)
            raise OpenError
        return token

    async def _heard(self, token: int, call: _Call[R], charge: Charge) -> R:
        """An attempt, of whose end the breaker hears."""
        breaker = self._breaker
        call.made += 1
        try:
            given = await self._counted(call.attempt, charge)
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
        return given

    async def _counted(self, attempt: Attempt[R], charge: Charge) -> R:
        figures = self.figures
        figures.calls_in_flight += 1
        try:
            given = await self._in_time(attempt)
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
        self, spec: ChatEndpointSpec, provider: ChatModel, *, meter: Meter | None = None, **layers: Any
    ) -> None:
        super().__init__(spec, provider, hedge_after_ms=spec.hedge_after_ms, **layers)
        self._chat = spec
        self._meter = meter or Meter(spec)

    async def complete(self, request: ChatRequest) -> Completion:
        request = _bounded(request, self._chat.max_output_tokens)
        completion = await self.called(
            partial(self._provider.complete, request),
            partial(self._meter.charge, request, most_of(request, self._chat)),
        )
        return replace(completion, model=self._chat.name)

    async def close(self) -> None:
        await super().close()
        self._meter.close()


class EmbeddingEndpoint(Calls[EmbeddingModel]):
    """An :class:`EmbeddingModel` over one that asks once. ``meter`` is closed with it."""

    def __init__(
        self, spec: EmbeddingSpec, provider: EmbeddingModel, *, meter: Meter | None = None, **layers: Any
    ) -> None:
        super().__init__(spec, provider, **layers)
        self._embedding = spec
        self._meter = meter or Meter(spec)

    @property
    def most_texts(self) -> int:
        return self._provider.most_texts

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        return await self.called(
            partial(self._provider.embed, request),
            partial(self._meter.charge, request, most_of_texts(request, self._embedding)),
        )

    async def close(self) -> None:
        await super().close()
        self._meter.close()


def _pause_s(attempt: int, retry_after_s: float | None) -> float:
    """Full jitter, on top of what the endpoint asked for."""
    longest = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** (attempt - 1))
    return (retry_after_s or 0.0) + random.uniform(0, longest)  # noqa: S311 - spreads retries, keeps no secret
