"""Answers that are given again: to whom, how long, and who pays."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from headrace_agents.chat import ChatRequest, Completion, Message, ModelError, Usage
from headrace_agents.model.cache import Cached, ResponseCache
from headrace_agents.spec import CacheSpec, EndpointSpec

SPEC = EndpointSpec(
    endpoint="http://model.test/v1", name="m", timeout_ms=1000, max_attempts=1, max_concurrency=4
)
REQUEST = ChatRequest((Message("user", "?"),), "k")
PAID = Completion("yes", usage=Usage(3, 2), model="m")
FREE = Completion("yes", usage=Usage(), model="m", cached=True)


class Model:
    def __init__(self, *answers: Completion | ModelError) -> None:
        self.answers = list(answers) or [PAID]
        self.calls = 0
        self.cancelled = 0
        self.go = asyncio.Event()
        self.go.set()

    async def complete(self, request: ChatRequest) -> Completion:
        self.calls += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        answer = self.answers[min(self.calls, len(self.answers)) - 1]
        if isinstance(answer, ModelError):
            raise answer
        return answer

    async def close(self) -> None: ...


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def cache_of(entries: int = 10, clock: Clock | None = None) -> ResponseCache:
    return ResponseCache(CacheSpec(entries=entries, expiry_ms=60_000), clock=clock or Clock())


def question(text: str) -> ChatRequest:
    return replace(REQUEST, messages=(Message("user", text),))


def test_an_equal_call_gets_the_same_answer_which_costs_nothing() -> None:
    async def run() -> None:
        model, cache = Model(), cache_of()
        cached = Cached(SPEC, model, cache)
        assert await cached.complete(REQUEST) == PAID
        assert await cached.complete(replace(REQUEST, idempotency_key="another")) == FREE
        assert await cached.complete(replace(REQUEST, temperature=0.5)) == PAID
        assert (model.calls, cache.figures.cache_hits) == (2, 1)

    asyncio.run(run())


@pytest.mark.parametrize("other", [{"name": "n"}, {"endpoint": "http://other.test/v1"}])
def test_another_model_or_endpoint_is_another_answer(other: dict[str, str]) -> None:
    async def run() -> None:
        model, cache = Model(), cache_of()
        for spec in (SPEC, SPEC.model_copy(update=other)):
            assert await Cached(spec, model, cache).complete(REQUEST) == PAID

    asyncio.run(run())


def test_an_answer_is_forgotten_after_its_time_and_for_newer_ones() -> None:
    async def run() -> None:
        model, clock = Model(), Clock()
        cached = Cached(SPEC, model, cache_of(2, clock))
        for text in ("a", "b", "a", "c"):
            await cached.complete(question(text))
        assert model.calls == 3
        assert await cached.complete(question("a")) == FREE
        assert await cached.complete(question("b")) == PAID
        clock.now = 61
        assert await cached.complete(question("b")) == PAID

    asyncio.run(run())


def test_what_was_cut_off_and_what_failed_is_not_kept() -> None:
    async def run() -> None:
        cut = replace(PAID, cut_off=True)
        cached = Cached(SPEC, Model(cut, ModelError("overloaded", "503"), PAID), cache_of())
        assert await cached.complete(REQUEST) == cut
        with pytest.raises(ModelError):
            await cached.complete(REQUEST)
        assert await cached.complete(REQUEST) == PAID

    asyncio.run(run())


def test_equal_calls_in_flight_are_one_and_one_of_them_pays() -> None:
    async def run() -> None:
        model, cache = Model(), cache_of()
        model.go.clear()
        cached = Cached(SPEC, model, cache)
        calls = [asyncio.create_task(cached.complete(REQUEST)) for _ in range(5)]
        await asyncio.sleep(0)
        model.go.set()
        answers = await asyncio.gather(*calls)
        assert sorted(answers, key=lambda each: each.cached) == [PAID, FREE, FREE, FREE, FREE]
        assert (model.calls, cache.figures.cache_shared) == (1, 4)

    asyncio.run(run())


def test_a_failure_is_that_of_all_who_share_the_call() -> None:
    async def run() -> None:
        model = Model(ModelError("overloaded", "503"))
        cached = Cached(SPEC, model, cache_of())
        ended = await asyncio.gather(*(cached.complete(REQUEST) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in ended] == [ModelError] * 3
        assert model.calls == 1

    asyncio.run(run())


def test_a_shared_call_outlives_whoever_began_it_and_ends_with_the_last_who_waits() -> None:
    async def run() -> None:
        model = Model()
        model.go.clear()
        cached = Cached(SPEC, model, cache_of())
        first, second = (asyncio.create_task(cached.complete(REQUEST)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        model.go.set()
        assert await second == PAID
        assert model.cancelled == 0

        model.go.clear()
        alone = asyncio.create_task(cached.complete(question("other")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        alone.cancel()
        again = asyncio.create_task(cached.complete(question("other")))
        await asyncio.gather(alone, return_exceptions=True)
        await asyncio.sleep(0)
        model.go.set()
        assert await again == PAID
        assert model.cancelled == 1

    asyncio.run(run())
