"""A model at one endpoint: attempts, limits on the clock, a breaker and a bound of calls in flight over it.

Calls wait for these in one line, and only its head for each of them: room among the calls in flight, the
breaker, a turn. A call's total time is bound by the run's deadline, which cancels it.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import NamedTuple

from headrace_agents.chat import ChatModel, ChatRequest, Completion, ModelError, ModelErrorKind
from headrace_agents.model.breaker import Breaker
from headrace_agents.model.concurrency import Begun, Concurrency
from headrace_agents.model.line import Line
from headrace_agents.model.tokens import Estimate, Spent
from headrace_agents.model.turns import Turns
from headrace_agents.spec import ModelSpec

_FIRST_BACKOFF_S = 0.25
_MAX_BACKOFF_S = 8.0
_OF_THE_PROVIDER: frozenset[ModelErrorKind] = frozenset({"rate_limited", "overloaded", "timeout"})
"""More calls at once would only be more of these."""
_WORTH_ANOTHER: frozenset[ModelErrorKind] = _OF_THE_PROVIDER | {"malformed"}


@dataclass(slots=True)
class CallFigures:
    """Of this subtask since it started; an attempt is a call."""

    calls_waiting: int = 0
    """For room among those in flight, for the breaker or for a turn."""
    calls_answered: int = 0
    calls_limited: int = 0
    """Answered 429."""
    calls_failed: int = 0
    """In any other way."""


class _Call(NamedTuple):
    """An attempt that is to be made now."""

    request: ChatRequest
    token: int
    """The breaker's."""
    begun: Begun
    spent: Spent | None


class Endpoint:
    """A :class:`ChatModel`, with at most ``max_concurrency`` calls at once.

    ``provider`` makes an attempt, and is closed with it. Each attempt waits, fair over keys, until there is
    room by ``concurrency``, ``breaker`` lets it through, and for one of ``turns``.
    """

    def __init__(
        self,
        spec: ModelSpec,
        provider: ChatModel,
        *,
        concurrency: Concurrency | None = None,
        turns: Turns | None = None,
        breaker: Breaker | None = None,
        figures: CallFigures | None = None,
    ) -> None:
        self.figures = figures or CallFigures()
        self._concurrency = concurrency or Concurrency(spec.max_concurrency, spec.max_concurrency)
        self._turns = turns or Turns()
        self._line = Line()
        self._breaker = breaker or Breaker()
        self._probes: set[asyncio.Task[Completion]] = set()
        self._spec = spec
        self._provider = provider

    async def complete(self, request: ChatRequest) -> Completion:
        for attempt in range(1, self._spec.max_attempts + 1):
            try:
                return await self._let_through(request)
            except ModelError as error:
                if error.kind not in _WORTH_ANOTHER or attempt == self._spec.max_attempts:
                    raise
                await asyncio.sleep(_pause_s(attempt, error.retry_after_s))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def close(self) -> None:
        for probe in self._probes:
            probe.cancel()
        await self._provider.close()

    async def _let_through(self, request: ChatRequest) -> Completion:
        """One attempt, once the endpoint takes calls and its limits have room."""
        call = await self._admitted(request)
        if not self._breaker.is_probe(call.token):
            return await self._heard(call)
        # What a probe finds out is not lost with the run that it was made for: that run has waited longest.
        probe = asyncio.create_task(self._heard(call))
        self._probes.add(probe)
        probe.add_done_callback(self._probe_ended)
        return await asyncio.shield(probe)

    def _probe_ended(self, probe: asyncio.Task[Completion]) -> None:
        self._probes.discard(probe)
        if not probe.cancelled():
            probe.exception()  # looked at, as nobody may wait for it any more

    async def _admitted(self, request: ChatRequest) -> _Call:
        """When it may be made; by then it is among those in flight."""
        tokens = self._turns.tokens
        estimate = None if tokens is None else tokens.estimate(request)
        self.figures.calls_waiting += 1
        try:
            async with self._line.head(request.key, 1 if estimate is None else estimate.tokens):
                await self._concurrency.room()
                token, spent = await self._turn(estimate)
                return _Call(request, token, self._concurrency.begin(), spent)
        finally:
            self.figures.calls_waiting -= 1

    async def _turn(self, estimate: Estimate | None) -> tuple[int, Spent | None]:
        """The breaker's token, when a call may be made, and what it is estimated to take."""
        breaker, concurrency = self._breaker, self._concurrency
        while True:
            if breaker.figures.breaker_open:
                concurrency.paced()
            token = await breaker.enter()
            try:
                spent = await self._turns.wait(estimate, concurrency.paced)
            except BaseException:
                breaker.abandoned(token)
                raise
            if breaker.lets(token):
                return token, spent
            breaker.abandoned(token)

    async def _heard(self, call: _Call) -> Completion:
        """An attempt, of whose end the limits hear."""
        breaker, concurrency, token = self._breaker, self._concurrency, call.token
        # One call at a time can't be too many, and its answer after a bad time is no usual one.
        is_probe, answered = breaker.is_probe(token), False
        try:
            completion = await self._counted(call.request)
            answered = True
        except ModelError as error:
            if error.kind in _OF_THE_PROVIDER:
                if not is_probe:
                    concurrency.refused(call.begun, error.retry_after_s or 0.0)
                breaker.failed(token, error.retry_after_s)
            else:
                breaker.answered(token)
            raise
        except BaseException:
            breaker.abandoned(token)
            raise
        finally:
            concurrency.end(call.begun, usual=answered and not is_probe)
        breaker.answered(token)
        if self._turns.tokens is not None and call.spent is not None:
            self._turns.tokens.counted(call.spent, completion.usage)
        return completion

    async def _counted(self, request: ChatRequest) -> Completion:
        figures = self.figures
        try:
            completion = await self._attempt(request)
        except ModelError as error:
            if error.kind == "rate_limited":
                figures.calls_limited += 1
            else:
                figures.calls_failed += 1
            raise
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
