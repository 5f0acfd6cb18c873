from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_agents.model.turns import LATE_S, MINUTE_S, Moments, Turns, turns_of
from headrace_agents.spec import ModelSpec

STARTED = 1_764_000_000.0


class Clock:
    """A wall clock that sleeping moves on, somewhat longer than was asked for."""

    def __init__(self, now: float, late: random.Random | None = None) -> None:
        self.now = now
        self._late = late

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self._late is not None:
            self.now += self._late.uniform(0, 0.9 * LATE_S)


def calls(limit: int, subtask: int, subtasks: int, clock: Clock, until: float) -> Iterator[float]:
    """When a subtask that always has something to ask makes its calls."""
    own = Turns(Moments(limit, subtask, subtasks, clock=clock))

    async def ask() -> list[float]:
        made: list[float] = []
        while True:
            await own.wait()
            if clock.now >= until:
                return made
            made.append(clock.now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", clock.sleep)
        yield from asyncio.run(ask())


def most_in_a_minute(made: Sequence[float]) -> int:
    """Over all sliding minutes, half open: each may begin at a call."""
    most, end = 0, 0
    for start, first in enumerate(made):
        while end < len(made) and made[end] < first + MINUTE_S:
            end += 1
        most = max(most, end - start)
    return most


@settings(max_examples=60, deadline=None)
@given(
    limit=st.integers(1, 400),
    phases=st.lists(st.tuples(st.integers(1, 5), st.floats(0.1, 150)), min_size=1, max_size=5),
    seed=st.integers(),
    begins=st.floats(0, 3600),
)
def test_no_sliding_minute_has_more_calls_than_the_limit_whatever_starts_and_ends_in_it(
    limit: int, phases: list[tuple[int, float]], seed: int, begins: float
) -> None:
    late = random.Random(seed)
    made: list[float] = []
    at = STARTED + begins
    for subtasks, seconds in phases:
        ends = at + seconds
        for subtask in range(subtasks):
            made += calls(limit, subtask, subtasks, Clock(at + late.uniform(0, 0.5), late), ends)
        at = ends
    assert most_in_a_minute(sorted(made)) <= limit


@pytest.mark.parametrize("limit", [20, 600, 30_000])
@pytest.mark.parametrize("subtasks", [1, 2, 4])
def test_under_load_95_percent_of_the_limit_are_used(limit: int, subtasks: int) -> None:
    minutes = 2
    made = [
        call
        for subtask in range(subtasks)
        for call in calls(
            limit,
            subtask,
            subtasks,
            Clock(STARTED, random.Random(subtask)),
            STARTED + minutes * MINUTE_S,
        )
    ]
    assert 0.95 * limit * minutes <= len(made) <= limit * minutes


def test_after_quiet_a_call_is_made_at_once_and_what_was_not_used_is_lost() -> None:
    clock = Clock(STARTED)
    own = Turns(Moments(600, 0, 1, clock=clock))
    clock.now += 30
    made = []

    async def ask(times: int) -> None:
        for _ in range(times):
            await own.wait()
            made.append(clock.now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", clock.sleep)
        asyncio.run(ask(20))
    at_once = [call for call in made if call == STARTED + 30]
    assert 8 <= len(at_once) <= 10  # the moments of the last second
    apart = [later - before for before, later in pairwise(made[len(at_once) :])]
    assert all(gap == pytest.approx(MINUTE_S / (600 * 0.97), rel=1e-3) for gap in apart)


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_a_clock_that_is_put_right_holds_nobody_up(jump_s: float) -> None:
    clock = Clock(STARTED)
    own = Turns(Moments(60, 0, 1, clock=clock))
    waited = []

    async def ask() -> None:
        for number in range(6):
            before = clock.now
            await own.wait()
            waited.append(clock.now - before)
            if number == 2:
                clock.now += jump_s

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", clock.sleep)
        asyncio.run(ask())
    assert max(waited) < 2.1
    assert sum(waited[3:]) > 1


def test_one_that_is_cancelled_takes_no_turn_and_others_go_on_in_their_order() -> None:
    async def ask() -> list[int]:
        own, order = Turns(Moments(600, 0, 1)), []

        async def one(number: int) -> None:
            await own.wait()
            order.append(number)

        tasks = [asyncio.create_task(one(number)) for number in range(4)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return order

    assert asyncio.run(ask()) == [1, 3]


def test_nothing_waits_where_nothing_is_limited() -> None:
    model = ModelSpec(endpoint="http://m", name="m", timeout_ms=1, max_attempts=1, max_concurrency=1)
    assert turns_of(model, 0, 1) is None
