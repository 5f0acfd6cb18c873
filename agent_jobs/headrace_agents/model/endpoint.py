"""A model at one endpoint: attempts, limits on the clock, a breaker and a bound of calls in flight over it.

What is called may be a chat model or an embedding model: the layer knows of neither.

Calls wait for these in one line, and only its head for each of them: room among the calls in flight, the
breaker, a turn. A call's total time is bound by the run's deadline, which cancels it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from headrace_agents.chat import (
    Caller,
    ChatModel,
    ChatRequest,
    Completion,
    ModelError,
    ModelErrorKind,
    Usage,
)
from headrace_agents.consequences import ALONE, Consequences
from headrace_agents.embedding import EmbeddingModel, EmbeddingRequest, Embeddings
from headrace_agents.figures import Histograms, counter, gauge, histograms
from headrace_agents.model.amounts import most_of, most_of_texts
from headrace_agents.model.breaker import Breaker, OpenError
from headrace_agents.model.concurrency import Begun, Concurrency
from headrace_agents.model.hedging import hedged
from headrace_agents.model.line import Line
from headrace_agents.model.metering import Charge, Meter
from headrace_agents.model.tokens import Estimate, Spent, TokenShare
from headrace_agents.model.turns import Turns
from headrace_agents.spec import ChatEndpointSpec, EmbeddingSpec, EndpointSpec

DURATION_BOUNDS_S = tuple(0.01 * 2**power for power in range(14))
TOKEN_BOUNDS = tuple(4**power for power in range(14))
"""Both as OpenTelemetry advises."""
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


Estimated = Callable[[TokenShare], Estimate]
"""What a call will take of a limit in tokens."""


@dataclass(slots=True)
class _Call(Generic[R]):
    attempt: Attempt[R]
    charging: Charging
    key: str = ""
    """The hash of the business key that it is made for."""
    estimated: Estimated | None = None
    made: int = 0
    """Attempts that went out."""


class _Admitted(NamedTuple):
    """What an attempt that is to be made now has been given."""

    token: int
    """The breaker's."""
    begun: Begun
    spent: Spent | None


class Provider(Protocol):
    """Whatever makes attempts."""

    async def close(self) -> None: ...


P = TypeVar("P", bound=Provider)


@dataclass(slots=True)
class CallFigures:
    """Of calls; an attempt is a call. Those of OpenTelemetry have its names, its units and its bounds:
    https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
    """

    calls_waiting: int = gauge(
        "Calls that wait for room among those in flight, for the breaker or for a turn."
    )
    calls_answered: int = counter("Calls that were answered.")
    calls_limited: int = counter("Calls that were answered with 429.")
    calls_failed: int = counter("Calls that failed in any other way.")
    calls_retried: int = counter("Calls that were made again, after one that failed.")
    calls_hedged: int = counter("Calls that were made beside one that took long.")
    gen_ai_client_operation_duration_seconds: Histograms = histograms(
        "error_type",
        "How long calls took; `error_type` is the class of the failure.",
        DURATION_BOUNDS_S,
        1_000_000,
        "gen_ai_client_operation_duration_microseconds_sum",
    )
    gen_ai_client_token_usage: Histograms = histograms(
        "gen_ai_token_type", "Tokens of answered calls, as the provider counted them.", TOKEN_BOUNDS
    )


class Calls(Generic[P]):
    """The layer, with at most ``max_concurrency`` calls at once.

    ``provider`` makes an attempt, and is closed with it. Each attempt waits, fair over keys, until there is
    room by ``concurrency``, ``breaker`` lets it through, and for one of ``turns``. A call of which
    ``consequences`` say that it falls back does neither: where it would wait at the breaker, or longer than
    an attempt for its turn, it has failed. ``hedge_after_ms``: a second attempt is made beside one that takes
    as long.
    """

    def __init__(  # noqa: PLR0913 - what is around an attempt, each by name
        self,
        spec: EndpointSpec,
        provider: P,
        *,
        concurrency: Concurrency | None = None,
        turns: Turns | None = None,
        breaker: Breaker | None = None,
        figures: CallFigures | None = None,
        consequences: Consequences = ALONE,
        hedge_after_ms: int | None = None,
    ) -> None:
        self.figures = figures or CallFigures()
        self._concurrency = concurrency or Concurrency(spec.max_concurrency, spec.max_concurrency)
        self._turns = turns or Turns()
        self._line = Line()
        self._breaker = breaker or Breaker()
        self._opened_by: ModelErrorKind = "overloaded"
        """The last failure that the breaker heard of."""
        self._probes: set[asyncio.Task[Any]] = set()
        self._spec = spec
        self._provider = provider
        self._consequences = consequences
        self._hedge_after_ms = hedge_after_ms

    async def called(
        self, attempt: Attempt[R], charging: Charging, key: str = "", estimated: Estimated | None = None
    ) -> R:
        """What an attempt gave. Raises the ModelError of the last one that was allowed."""
        call = _Call(attempt, charging, key, estimated)
        while True:
            try:
                if self._breaker.would_wait and not self._waits():
                    raise self._open_error()
                return await self._let_through(call)
            except ModelError as error:
                if self._consequences[error.kind] != "wait" or call.made >= self._spec.max_attempts:
                    raise
                await asyncio.sleep(_pause_s(call.made, error.retry_after_s))
                self.figures.calls_retried += 1

    async def close(self) -> None:
        probes = list(self._probes)
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        await self._provider.close()

    async def _let_through(self, call: _Call[R]) -> R:
        """One attempt, once the endpoint takes calls and its limits have room; or two, one as a hedge."""
        charge = await call.charging()
        try:
            admitted = await self._admitted(call, self._waits)
        except OpenError:
            charge.not_made()
            raise self._open_error() from None
        except BaseException:
            charge.not_made()
            raise
        if self._breaker.is_probe(admitted.token):
            # What a probe finds out is not lost with the run that it is made for, which has waited longest.
            probe = self._task(admitted, call, charge)
            self._probes.add(probe)
            probe.add_done_callback(self._probe_ended)
            return await asyncio.shield(probe)
        if self._hedge_after_ms is None:
            return await self._heard(admitted, call, charge)
        return await hedged(
            call,
            self._task(admitted, call, charge),
            lambda: self._hedge(call),
            lambda: self._may_hedge(call),
            self._hedge_after_ms / 1000,
        )

    def _task(self, admitted: _Admitted, call: _Call[R], charge: Charge) -> asyncio.Task[R]:
        """An attempt in a task of its own; one that is cancelled before it begins has taken nothing."""
        begun = False

        async def attempt() -> R:
            nonlocal begun
            begun = True
            return await self._heard(admitted, call, charge)

        def ended(_: asyncio.Task[R]) -> None:
            if not begun:
                self._breaker.abandoned(admitted.token)
                self._concurrency.end(admitted.begun, usual=False)
                charge.not_made()

        task = asyncio.create_task(attempt())
        task.add_done_callback(ended)
        return task

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

    async def _admitted(self, call: _Call[R], waits: Callable[[], bool]) -> _Admitted:
        """When an attempt may be made; by then it is among those in flight."""
        tokens, concurrency, figures = self._turns.tokens, self._concurrency, self.figures
        estimate = None if tokens is None or call.estimated is None else call.estimated(tokens)
        self._check_wait(estimate)
        figures.calls_waiting += 1
        try:
            async with self._line.head(call.key, 1 if estimate is None else estimate.tokens):
                await concurrency.room()
                token, spent = await self._turn(estimate, waits)
                return _Admitted(token, concurrency.begin(), spent)
        finally:
            figures.calls_waiting -= 1

    async def _turn(self, estimate: Estimate | None, waits: Callable[[], bool]) -> tuple[int, Spent | None]:
        """The breaker's token, when a call may be made, and what it is estimated to take."""
        breaker, concurrency = self._breaker, self._concurrency
        while True:
            if breaker.figures.breaker_open:
                concurrency.paced()
            token = await breaker.enter(waits)
            try:
                spent = await self._turns.wait(estimate, concurrency.paced)
            except BaseException:
                breaker.abandoned(token)
                raise
            if breaker.lets(token):
                return token, spent
            breaker.abandoned(token)

    def _check_wait(self, estimate: Estimate | None) -> None:
        if self._consequences["rate_limited"] != "fall_back":
            return
        if self._turns.wait_s(estimate, behind=self.figures.calls_waiting) * 1000 > self._spec.timeout_ms:
            raise ModelError("rate_limited", f"no turn within {self._spec.timeout_ms} ms, by the limits")

    def _may_hedge(self, call: _Call[R]) -> bool:
        """Where calls wait already, a second one of the same would only make others wait longer."""
        return (
            self._breaker.is_closed
            and call.made < self._spec.max_attempts
            and not self.figures.calls_waiting
            and self._concurrency.has_room
        )

    async def _hedge(self, call: _Call[R]) -> R:
        charge = await call.charging(waits=False)
        try:
            admitted = await self._admitted_as_hedge(call)
        except BaseException:
            charge.not_made()
            raise
        self.figures.calls_hedged += 1
        return await self._heard(admitted, call, charge)

    async def _admitted_as_hedge(self, call: _Call[R]) -> _Admitted:
        """A hedge is no probe: who waits longest is to find out."""
        admitted = await self._admitted(call, lambda: False)
        if self._breaker.is_probe(admitted.token):
            self._breaker.abandoned(admitted.token)
            self._concurrency.end(admitted.begun, usual=False)
            raise OpenError
        return admitted

    async def _heard(self, admitted: _Admitted, call: _Call[R], charge: Charge) -> R:
        """An attempt, of whose end the limits hear."""
        breaker, concurrency, token = self._breaker, self._concurrency, admitted.token
        # One call at a time can't be too many, and its answer after a bad time is no usual one.
        is_probe, answered = breaker.is_probe(token), False
        call.made += 1
        try:
            given = await self._counted(call.attempt, charge)
            answered = True
        except ModelError as error:
            if error.kind in _OF_THE_PROVIDER:
                self._opened_by = error.kind
                if error.kind == "rate_limited" and not is_probe:
                    concurrency.refused(admitted.begun, error.retry_after_s or 0.0)
                elif error.kind == "timeout" and not is_probe:
                    concurrency.hung(admitted.begun)
                breaker.failed(token, error.retry_after_s)
            else:
                breaker.answered(token)
            raise
        except BaseException:
            breaker.abandoned(token)
            raise
        finally:
            concurrency.end(admitted.begun, usual=answered and not is_probe)
        breaker.answered(token)
        if self._turns.tokens is not None and admitted.spent is not None:
            self._turns.tokens.counted(admitted.spent, given.usage)
        return given

    async def _counted(self, attempt: Attempt[R], charge: Charge) -> R:
        figures, begun_at = self.figures, time.monotonic()
        durations = figures.gen_ai_client_operation_duration_seconds
        try:
            given = await self._in_time(attempt)
        except ModelError as error:
            charge.failed(error)
            durations.observe(error.kind, time.monotonic() - begun_at)
            if error.kind == "rate_limited":
                figures.calls_limited += 1
            else:
                figures.calls_failed += 1
            raise
        except BaseException:
            charge.unanswered()
            raise
        charge.answered(given.usage)
        durations.observe("", time.monotonic() - begun_at)
        figures.gen_ai_client_token_usage.observe("input", given.usage.input_tokens)
        figures.gen_ai_client_token_usage.observe("output", given.usage.output_tokens)
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
            _key(request.caller),
            lambda tokens: tokens.estimate(request),
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
            _key(request.caller),
        )

    async def close(self) -> None:
        await super().close()
        self._meter.close()


def _key(caller: Caller | None) -> str:
    """Calls that wait go round the keys that they are made for."""
    return "" if caller is None else caller.key_hash


def _pause_s(attempt: int, retry_after_s: float | None) -> float:
    """Full jitter, on top of what the endpoint asked for."""
    longest = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** (attempt - 1))
    return (retry_after_s or 0.0) + random.uniform(0, longest)  # noqa: S311 - spreads retries, keeps no secret
