"""Hedges: a second attempt beside one that takes long; the first answer wins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from headrace_agents.chat import ChatRequest, Completion, Message, ModelError
from headrace_agents.model import connecting
from headrace_agents.model.connecting import ModelState, connected, state_of
from headrace_agents.spec import ModelSpec

REQUEST = ChatRequest((Message("user", "?"),), "k")
SPEC = ModelSpec(
    endpoint="http://model.test/v1",
    name="m",
    timeout_ms=400,
    max_attempts=4,
    max_concurrency=4,
    hedge_after_ms=50,
)
Answer = Callable[[int], float]
"""Seconds that a call takes, by its number."""


class Slow:
    def __init__(self, takes: Answer, fails: Callable[[int], bool] = lambda _: False) -> None:
        self._takes, self._fails = takes, fails
        self.calls = 0
        self.cancelled: list[int] = []

    async def complete(self, request: ChatRequest) -> Completion:
        self.calls += 1
        number = self.calls
        try:
            await asyncio.sleep(self._takes(number))
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        if self._fails(number):
            raise ModelError("overloaded", str(number))
        return Completion(str(number))

    async def close(self) -> None: ...


def hedged(monkeypatch: pytest.MonkeyPatch, slow: Slow, **fields: int) -> tuple[str, ModelState]:
    """The text of the one call, or its class of failure."""
    monkeypatch.setattr(connecting, "OpenAiProvider", lambda _: slow)
    monkeypatch.setattr("headrace_agents.model.endpoint._pause_s", lambda *_: 0.0)
    spec = SPEC.model_copy(update=fields)
    state = state_of(spec)

    async def run() -> str:
        model = connected(spec, state)
        try:
            return (await model.complete(REQUEST)).text or ""
        except ModelError as error:
            return error.kind
        finally:
            await model.close()

    return asyncio.run(run()), state


def test_a_call_that_takes_long_is_made_twice_and_the_first_answer_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Slow(lambda number: 5 if number == 1 else 0)
    text, state = hedged(monkeypatch, slow)
    assert (text, slow.calls, slow.cancelled) == ("2", 2, [1])
    calls = state.endpoints[0].calls
    assert (calls.calls_hedged, calls.calls_answered, calls.calls_failed) == (1, 1, 0)
    assert state.endpoints[0].concurrency.figures.calls_in_flight == 0


def test_a_call_that_is_quick_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(lambda _: 0)
    assert (hedged(monkeypatch, slow)[0], slow.calls) == ("1", 1)


def test_the_slow_one_still_wins_where_its_hedge_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(lambda number: 0.15 if number == 1 else 0, lambda number: number == 2)
    assert (hedged(monkeypatch, slow)[0], slow.calls, slow.cancelled) == ("1", 2, [])


def test_a_hedge_that_is_under_way_is_waited_for_where_the_first_one_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Slow(lambda number: 0.1 if number == 1 else 0.15, lambda number: number == 1)
    assert (hedged(monkeypatch, slow)[0], slow.calls) == ("2", 2)


@pytest.mark.parametrize("attempts", [1, 2, 3, 4])
def test_hedges_are_attempts_so_a_failure_that_lasts_costs_no_call_more(
    monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    slow = Slow(lambda _: 5)
    kind, state = hedged(monkeypatch, slow, max_attempts=attempts, timeout_ms=150)
    assert (kind, slow.calls) == ("timeout", attempts)
    assert state.endpoints[0].calls.calls_hedged == attempts // 2


def test_no_hedge_where_all_calls_in_flight_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor once there is room again: that is for others."""
    slow = Slow(lambda number: 0.3 if number == 1 else 0.15)
    monkeypatch.setattr(connecting, "OpenAiProvider", lambda _: slow)

    async def run() -> None:
        model = connected(SPEC.model_copy(update={"max_concurrency": 2}))
        await asyncio.gather(model.complete(REQUEST), model.complete(REQUEST))
        await model.close()

    asyncio.run(run())
    assert slow.calls == 2


@pytest.mark.parametrize("open_s", [0.01, 60])
def test_no_hedge_while_the_breaker_is_open_nor_beside_a_probe_nor_as_one(
    monkeypatch: pytest.MonkeyPatch, open_s: float
) -> None:
    slow = Slow(lambda _: 0.15)
    monkeypatch.setattr(connecting, "OpenAiProvider", lambda _: slow)

    async def run() -> None:
        state = state_of(SPEC)
        breaker, model = state.endpoints[0].breaker, connected(SPEC, state)
        breaker.failed(await breaker.enter(), retry_after_s=0.01)
        assert (await model.complete(REQUEST)).text == "1"  # the probe
        late = await breaker.enter()
        call = asyncio.create_task(model.complete(REQUEST))
        await asyncio.sleep(0.02)
        breaker.failed(late, retry_after_s=open_s)
        assert (await call).text == "2"
        assert breaker.figures.breaker_probes == 1
        await model.close()

    asyncio.run(run())
    assert slow.calls == 2


def test_a_hedge_waits_for_its_turn_and_is_not_made_once_there_is_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Slow(lambda _: 0.15)
    text, _ = hedged(monkeypatch, slow, requests_per_minute=20)
    assert (text, slow.calls) == ("1", 1)


@pytest.mark.parametrize("as_probe", [True, False], ids=["a-probe", "an-attempt-with-a-hedge"])
def test_an_attempt_that_is_cancelled_before_it_begins_takes_nothing(
    monkeypatch: pytest.MonkeyPatch, *, as_probe: bool
) -> None:
    slow = Slow(lambda _: 0)
    monkeypatch.setattr(connecting, "OpenAiProvider", lambda _: slow)

    async def run() -> None:
        state = state_of(SPEC)
        model, its = connected(SPEC, state), state.endpoints[0]
        if as_probe:
            its.breaker.failed(await its.breaker.enter(), retry_after_s=0)
        real = asyncio.create_task

        def cancelled(coroutine: Any, **more: Any) -> asyncio.Task[Any]:
            task = real(coroutine, **more)
            task.cancel()
            return task

        with monkeypatch.context() as patched:
            patched.setattr("headrace_agents.model.endpoint.asyncio.create_task", cancelled)
            with pytest.raises(asyncio.CancelledError):
                await model.complete(REQUEST)
        await asyncio.sleep(0)
        assert its.concurrency.figures.calls_in_flight == 0
        assert (await model.complete(REQUEST)).text == "1"
        assert its.breaker.is_closed
        await model.close()

    asyncio.run(run())
