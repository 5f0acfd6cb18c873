"""The breaker alone, and under a client whose endpoint has a bad time; no time passes but the test's own."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from itertools import pairwise

import httpx2
import pytest

from headrace_agents.chat import ChatRequest, Message, ModelError
from headrace_agents.model.breaker import LONGEST_PAUSE_S, OPENS_AFTER, Breaker
from headrace_agents.model.endpoint import Endpoint as ModelEndpoint
from headrace_agents.model.openai_provider import OpenAiProvider
from headrace_agents.model.turns import Moments, Turns
from headrace_agents.spec import ModelSpec

SPEC = ModelSpec(
    endpoint="http://model.test/v1", name="m", timeout_ms=60_000, max_attempts=20, max_concurrency=64
)
REQUEST = ChatRequest((Message("user", "?"),), idempotency_key="k")
GOOD = {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}


class Time:
    """Moves when all that runs has gone to sleep, to the next who wakes."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._numbers = iter(range(10**9))

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), woken))
        await woken.wait()

    async def run_until(self, done: Callable[[], bool]) -> None:
        while not done():
            for _ in range(10):
                await REAL_SLEEP(0)
            if done():
                return
            at, _, woken = heapq.heappop(self._sleepers)
            self.now = max(self.now, at)
            woken.set()


REAL_SLEEP = asyncio.sleep


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(asyncio, "sleep", time.sleep)
    return time


def middle(least: float, most: float) -> float:
    return (least + most) / 2


class Endpoint:
    """Fails while ``broken`` says how; remembers when it was called."""

    def __init__(self, time: Time, broken: Callable[[float], httpx2.Response | None]) -> None:
        self._time, self._broken = time, broken
        self.calls: list[float] = []
        self.failed: list[float] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        now = self._time.now
        self.calls.append(now)
        await self._time.sleep(0.1)
        failure = self._broken(now)
        if failure is None:
            return httpx2.Response(200, json=GOOD)
        self.failed.append(now)
        return failure


def client_of(endpoint: Endpoint, breaker: Breaker, turns: Turns | None = None) -> ModelEndpoint:
    provider = OpenAiProvider(SPEC, httpx2.AsyncClient(transport=httpx2.MockTransport(endpoint)))
    return ModelEndpoint(SPEC, provider, breaker=breaker, turns=turns)


def under_load(
    time: Time, endpoint: Endpoint, breaker: Breaker, per_second: int, seconds: int
) -> list[float | ModelError]:
    """When each of the calls, which come evenly, was answered, or with what it ended."""
    ended: list[float | ModelError] = []

    async def call(client: ModelEndpoint, at: float) -> None:
        await time.sleep(at)
        try:
            await client.complete(REQUEST)
            ended.append(time.now)
        except ModelError as error:
            ended.append(error)

    async def run() -> None:
        client = client_of(endpoint, breaker)
        tasks = [asyncio.create_task(call(client, n / per_second)) for n in range(per_second * seconds)]
        await time.run_until(lambda: all(task.done() for task in tasks))
        await client.close()

    asyncio.run(run())
    return ended


def test_a_storm_of_429_loses_nothing_calls_nobody_early_and_is_over_when_it_is_over(time: Time) -> None:
    """Ten minutes of a fast clock: 429 with Retry-After, under load from before to after."""
    storm, retry_after_s, per_second, seconds = (30.0, 630.0), 7, 5, 690
    breaker = Breaker(clock=time, spread=middle)
    endpoint = Endpoint(
        time,
        lambda now: (
            httpx2.Response(429, headers={"Retry-After": str(retry_after_s)})
            if storm[0] <= now < storm[1]
            else None
        ),
    )
    ended = under_load(time, endpoint, breaker, per_second, seconds)

    assert len(ended) == per_second * seconds
    assert [each for each in ended if isinstance(each, ModelError)] == []
    answered = sorted(each for each in ended if isinstance(each, float))
    # Calls that were on their way when the first one was refused, and one probe a pause after that.
    on_their_way = [call for call in endpoint.failed if call < storm[0] + 0.2]
    probes = [call for call in endpoint.failed if call not in on_their_way]
    assert len(on_their_way) <= per_second * 0.2 + 1
    pauses = (storm[1] - storm[0]) / retry_after_s
    assert len(probes) <= pauses + 1
    for earlier, later in pairwise(probes):
        assert later >= earlier + 0.1 + retry_after_s
    first_after = min(each for each in answered if each > storm[1])
    assert first_after <= storm[1] + retry_after_s + 0.3
    from_the_tenth_second = [each for each in answered if storm[1] + 10 <= each < storm[1] + 20]
    assert len(from_the_tenth_second) >= 0.95 * 10 * per_second


def test_an_outage_without_a_word_when_it_ends_is_looked_at_ever_less_often(time: Time) -> None:
    outage = (10.0, 130.0)
    breaker = Breaker(clock=time, spread=middle)
    endpoint = Endpoint(time, lambda now: httpx2.Response(503) if outage[0] <= now < outage[1] else None)
    ended = under_load(time, endpoint, breaker, per_second=10, seconds=160)

    assert not [each for each in ended if isinstance(each, ModelError)]
    assert breaker.figures.breaker_openings == 1
    assert breaker.figures.breaker_open == 0
    probes = [call for call in endpoint.failed if call > outage[0] + 1]
    assert len(probes) <= 2 * (outage[1] - outage[0]) / LONGEST_PAUSE_S
    first_after = min(each for each in ended if isinstance(each, float) and each > outage[1])
    assert first_after <= outage[1] + LONGEST_PAUSE_S + 0.2


def in_turn(*steps: Callable[[Breaker], Awaitable[None]]) -> Breaker:
    breaker = Breaker()

    async def run() -> None:
        for step in steps:
            await step(breaker)

    asyncio.run(run())
    return breaker


async def fail(breaker: Breaker) -> None:
    breaker.failed(await breaker.enter())


async def answer(breaker: Breaker) -> None:
    breaker.answered(await breaker.enter())


def test_it_takes_failures_in_a_row_to_open_it() -> None:
    few = [fail] * (OPENS_AFTER - 1)
    assert in_turn(*few, answer, *few).figures.breaker_open == 0
    assert in_turn(*few, fail).figures.breaker_open == 1


def test_an_outage_of_days_ends_like_any_other(time: Time) -> None:
    breaker = Breaker(clock=time, spread=middle)

    async def run() -> None:
        for _ in range(3_000):
            task = asyncio.create_task(breaker.enter())
            await time.run_until(task.done)
            breaker.failed(task.result())
        task = asyncio.create_task(breaker.enter())
        await time.run_until(task.done)
        breaker.answered(task.result())

    asyncio.run(run())
    assert breaker.figures.breaker_open == 0
    assert breaker.figures.breaker_probes == 3_000 - OPENS_AFTER + 1


def test_a_probe_that_is_told_to_come_back_at_once_pauses_all_the_same(time: Time) -> None:
    breaker = Breaker(clock=time, spread=middle)

    async def run() -> None:
        breaker.failed(await breaker.enter(), retry_after_s=0)
        for _ in range(20):
            task = asyncio.create_task(breaker.enter())
            await time.run_until(task.done)
            breaker.failed(task.result(), retry_after_s=0)

    asyncio.run(run())
    assert time.now > 15 * LONGEST_PAUSE_S / 2


def test_calls_from_before_it_closed_do_not_open_it_again(time: Time) -> None:
    breaker = Breaker(clock=time, spread=middle)

    async def run() -> None:
        early = [await breaker.enter() for _ in range(2 * OPENS_AFTER)]
        breaker.failed(await breaker.enter(), retry_after_s=1)
        task = asyncio.create_task(breaker.enter())
        await time.run_until(task.done)
        breaker.answered(task.result())
        for token in early:
            breaker.failed(token)

    asyncio.run(run())
    assert breaker.figures.breaker_open == 0


def test_calls_that_wait_for_their_turn_are_not_made_once_it_is_open(time: Time) -> None:
    """Many have passed the breaker when one is refused for a minute."""
    breaker = Breaker(clock=time, spread=middle)
    endpoint = Endpoint(
        time, lambda now: httpx2.Response(429, headers={"Retry-After": "60"}) if now < 30 else None
    )
    ended: list[float] = []

    async def call(client: ModelEndpoint) -> None:
        await client.complete(REQUEST)
        ended.append(time.now)

    async def run() -> None:
        client = client_of(endpoint, breaker, turns=Turns(Moments(60, 0, 1, clock=time)))
        tasks = [asyncio.create_task(call(client)) for _ in range(40)]
        await time.run_until(lambda: all(task.done() for task in tasks))
        await client.close()

    asyncio.run(run())
    assert len(ended) == 40
    assert len(endpoint.failed) == 1
    assert min(call for call in endpoint.calls if call not in endpoint.failed) >= endpoint.failed[0] + 60


def test_a_probe_outlives_the_run_that_it_was_made_for(time: Time) -> None:
    """Whoever waited longest probes, and has the least time left."""
    breaker = Breaker(clock=time, spread=middle)
    endpoint = Endpoint(time, lambda _: None)

    async def run() -> None:
        client = client_of(endpoint, breaker)
        breaker.failed(await breaker.enter(), retry_after_s=5)
        call = asyncio.create_task(client.complete(REQUEST))
        await time.run_until(lambda: bool(endpoint.calls))
        call.cancel()
        await time.run_until(lambda: breaker.figures.breaker_open == 0)
        assert call.cancelled()
        await client.close()

    asyncio.run(run())


def test_an_answer_from_before_it_opened_does_not_close_it() -> None:
    async def run() -> None:
        breaker = Breaker()
        early = await breaker.enter()
        breaker.failed(await breaker.enter(), retry_after_s=60)
        breaker.answered(early)
        assert breaker.figures.breaker_open == 1

    asyncio.run(run())


def test_a_later_refusal_with_a_longer_wait_holds_the_probe_back(time: Time) -> None:
    breaker = Breaker(clock=time, spread=middle)
    entered: list[float] = []

    async def enter() -> None:
        await breaker.enter()
        entered.append(time.now)

    async def run() -> None:
        first, second = await breaker.enter(), await breaker.enter()
        breaker.failed(first, retry_after_s=1)
        task = asyncio.create_task(enter())
        await REAL_SLEEP(0)
        breaker.failed(second, retry_after_s=9)
        await time.run_until(task.done)

    asyncio.run(run())
    assert entered == [9.0]


def test_a_probe_that_nobody_waits_for_any_more_makes_room_for_another(time: Time) -> None:
    breaker = Breaker(clock=time, spread=middle)

    async def run() -> None:
        breaker.failed(await breaker.enter(), retry_after_s=1)
        probe, others = asyncio.create_task(breaker.enter()), []
        await time.run_until(probe.done)
        others = [asyncio.create_task(breaker.enter()) for _ in range(2)]
        await REAL_SLEEP(0)
        assert not any(each.done() for each in others)
        breaker.abandoned(probe.result())
        await time.run_until(others[0].done)
        assert not others[1].done()
        breaker.answered(others[0].result())
        await time.run_until(others[1].done)

    asyncio.run(run())
    assert breaker.figures.breaker_open == 0
    assert breaker.figures.breaker_probes == 2


def test_one_that_is_cancelled_while_it_waits_is_no_probe(time: Time) -> None:
    breaker = Breaker(clock=time, spread=middle)

    async def run() -> None:
        breaker.failed(await breaker.enter(), retry_after_s=5)
        gone, next_one = asyncio.create_task(breaker.enter()), asyncio.create_task(breaker.enter())
        await REAL_SLEEP(0)
        gone.cancel()
        await time.run_until(next_one.done)

    asyncio.run(run())
    assert breaker.figures.breaker_probes == 1
