"""The line in which calls wait: fair over keys, alone and under a client whose limits are short."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

import pytest

from headrace_agents.chat import ChatRequest, Message
from headrace_agents.model.breaker import Breaker
from headrace_agents.model.concurrency import Concurrency
from headrace_agents.model.endpoint import Endpoint
from headrace_agents.model.line import Line
from headrace_agents.model.turns import Moments, Turns
from headrace_agents.spec import ModelSpec
from tests.unit.agents.ledger import caller
from tests.unit.agents.simulation import CapacityModel, now, simulate

A, B = "a", "b"


def order(asked: Sequence[tuple[str, float]], cancelled: Sequence[int] = ()) -> list[str]:
    """Of the keys at the line's head, where all ask at once while another call is there."""

    async def run() -> list[str]:
        line, at_head = Line(), list[str]()

        async def one(key: str, cost: float) -> None:
            async with line.head(key, cost):
                at_head.append(key)
                await asyncio.sleep(1)

        async with line.head("first"):
            tasks = [asyncio.create_task(one(key, cost)) for key, cost in asked]
            await asyncio.sleep(1)
            for number in cancelled:
                tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(1), line.head(A):
            return at_head

    return simulate(run())


def test_a_key_with_many_calls_takes_turns_with_one_that_has_few() -> None:
    assert order([(A, 1)] * 6 + [(B, 1)] * 2) == [A, B, A, B, A, A, A, A]


def test_calls_of_one_key_keep_their_order_and_cost_counts() -> None:
    assert order([(A, 3)] * 2 + [(B, 1)] * 4) == [A, B, B, B, A, B]


def test_those_that_are_cancelled_are_passed_over() -> None:
    assert order([(A, 1)] * 5 + [(B, 1)] * 2, cancelled=[0, 1, 2]) == [B, B, A, A]


def test_those_that_are_cancelled_cost_their_key_nothing() -> None:
    async def run() -> list[str]:
        line, at_head = Line(), list[str]()

        async def one(key: str) -> None:
            async with line.head(key):
                at_head.append(key)

        async with line.head(A):
            tasks = [asyncio.create_task(one(key)) for key in (B, B, A, A, A)]
            await asyncio.sleep(1)
            for task in tasks[2:]:
                task.cancel()
            await asyncio.sleep(1)
            tasks.append(asyncio.create_task(one(A)))
            await asyncio.sleep(1)
        await asyncio.gather(*tasks, return_exceptions=True)
        return at_head

    assert simulate(run()) == [B, A, B]


def test_one_that_is_cancelled_as_its_turn_comes_hands_it_on() -> None:
    async def run() -> None:
        line = Line()

        async def one() -> None:
            async with line.head(A):
                raise AssertionError("it was cancelled")

        async with line.head(A):
            task = asyncio.create_task(one())
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(1), line.head(B):
            pass

    simulate(run())


# A noisy key

QUIET_KEYS, QUIET_PER_S = 20, 0.2
"""Each of them."""
NOISE = 100
"""Times the calls of another key, of which a run makes as many side by side."""
SECONDS = 600


@dataclass
class Waits:
    """Seconds from a call's coming to its answer, of the quiet keys."""

    seconds: list[float] = field(default_factory=list)

    @property
    def p99(self) -> float:
        return sorted(self.seconds)[ceil(0.99 * len(self.seconds)) - 1]


def waits(*, noise: bool, turns: int | None, fair: bool = True) -> Waits:
    found = Waits()

    async def quiet(endpoint: Endpoint, number: int) -> None:
        for at in range(number, SECONDS * 10, int(10 / QUIET_PER_S)):
            await asyncio.sleep(at / 10 - now())
            asked = now()
            await endpoint.complete(request(str(number) if fair else A))
            found.seconds.append(now() - asked)

    async def noisy(endpoint: Endpoint) -> None:
        for at in range(0, SECONDS, int(1 / QUIET_PER_S)):
            await asyncio.sleep(at - now())
            await asyncio.gather(*(endpoint.complete(request(A)) for _ in range(NOISE)))

    async def run() -> None:
        model = CapacityModel(10_000, 0.5, spread=0.3)
        spec = ModelSpec(endpoint="http://m", name="m", timeout_ms=60_000, max_attempts=1, max_concurrency=16)
        endpoint = Endpoint(
            spec,
            model,
            concurrency=Concurrency(16, 16, clock=now, wall_clock=now, processor=lambda: 0.0),
            breaker=Breaker(clock=now),
            turns=None if turns is None else Turns(Moments(turns, 0, 1, clock=now)),
        )
        async with asyncio.TaskGroup() as group:
            for number in range(QUIET_KEYS):
                group.create_task(quiet(endpoint, number))
            if noise:
                group.create_task(noisy(endpoint))

    simulate(run())
    return found


def request(key: str) -> ChatRequest:
    return ChatRequest((Message("user", "?"),), "k", caller=caller(key))


@pytest.mark.parametrize("turns", [None, 1_800], ids=["calls-in-flight", "requests-a-minute"])
def test_a_key_with_100_times_the_load_raises_the_p99_wait_of_others_by_less_than_twice(
    turns: int | None,
) -> None:
    alone, beside = waits(noise=False, turns=turns), waits(noise=True, turns=turns)
    first_come = waits(noise=True, turns=turns, fair=False)
    assert len(alone.seconds) == len(beside.seconds) == QUIET_KEYS * QUIET_PER_S * SECONDS
    assert beside.p99 < 2 * alone.p99, (alone.p99, beside.p99)
    assert first_come.p99 > 2 * alone.p99, "the noise is none"
