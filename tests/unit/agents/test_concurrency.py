"""The limit of calls in flight: what it hears, and what it finds on a model with a hidden capacity."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_agents.agent import prepare
from headrace_agents.chat import ChatRequest, Message, ModelError
from headrace_agents.model.breaker import Breaker
from headrace_agents.model.concurrency import (
    HELD_S,
    LOOK_S,
    ROUND_S,
    Begun,
    Concurrency,
    concurrency_of,
    shared_out,
)
from headrace_agents.model.endpoint import Endpoint
from headrace_agents.spec import AgentJobSpec, ModelSpec
from headrace_agents.testing import in_memory_spec
from tests.unit.agents.ledger import caller
from tests.unit.agents.simulation import CapacityModel, now, simulate
from tests.unit.agents.worlds import LIMITS, Tracker

START, MOST, BUSY = 8, 64, 0.7
SPEC = ModelSpec(endpoint="http://m", name="m", timeout_ms=600_000, max_attempts=4, max_concurrency=256)


class Worker:
    """Time, and processor time used, as a test has them pass; it always has a call that waits."""

    def __init__(self) -> None:
        self.now = self.used = 0.0
        self.concurrency = Concurrency(
            START,
            MOST,
            BUSY,
            clock=lambda: self.now,
            wall_clock=lambda: self.now,
            processor=lambda: self.used,
        )

    def round(self, latency_s: float = 1.0, busy: float = 0.1, *, wanted: bool = True) -> int:
        """As many calls as may be, at once; returns the limit after them."""
        concurrency = self.concurrency
        calls = [concurrency.begin() for _ in range(concurrency.limit)]
        calls += [concurrency.begin() for _ in range(8 - len(calls))]
        self.now += latency_s
        self.used += busy * latency_s
        for call in calls:
            if wanted:
                concurrency.wanted()
            concurrency.end(call, usual=True)
        return concurrency.limit


def test_while_calls_wait_and_take_no_longer_the_limit_grows_by_half_up_to_the_most() -> None:
    worker = Worker()
    assert [worker.round() for _ in range(7)] == [12, 18, 27, 40, 60, 64, 64]


def test_where_nothing_waits_it_stays() -> None:
    worker = Worker()
    assert {worker.round(wanted=False) for _ in range(60)} == {START}


def test_a_worker_without_processor_time_left_gets_no_more() -> None:
    worker = Worker()
    assert {worker.round(busy=BUSY + 0.1) for _ in range(60)} == {START}


def test_where_calls_wait_for_a_turn_it_stays() -> None:
    worker = Worker()
    for _ in range(60):
        worker.concurrency.paced()
        assert worker.round() == START


def test_runs_that_do_something_else_than_calls_get_more_without_any_answer() -> None:
    worker = Worker()
    for _ in range(100):
        worker.now += ROUND_S
        worker.concurrency.wanted()
    assert worker.concurrency.limit == MOST


def test_a_refusal_lowers_it_once_for_all_calls_that_were_under_way_and_holds_it_below() -> None:
    worker = Worker()
    concurrency = worker.concurrency
    calls = [concurrency.begin() for _ in range(START)]
    for call in calls:
        concurrency.refused(call)
        concurrency.end(call, usual=False)
    assert concurrency.limit == 6
    assert [worker.round() for _ in range(20)][-1] == START - 1
    worker.now += HELD_S
    assert max(worker.round() for _ in range(LOOK_S)) > START


def test_calls_that_take_longer_because_of_their_number_lower_it() -> None:
    """A model that works on 16 at once: by Little's law more take longer in proportion."""
    worker = Worker()
    for _ in range(200):
        worker.round(max(1.0, worker.concurrency.limit / 16))
    limits = [worker.round(max(1.0, worker.concurrency.limit / 16)) for _ in range(100)]
    assert max(limits) <= 16 * 1.3
    assert sum(limits) / len(limits) >= 16 * 0.85


def test_a_model_that_is_slower_whatever_the_number_does_not() -> None:
    worker = Worker()
    for _ in range(3):
        worker.round(1.0)
    grown = worker.concurrency.limit
    limits = [worker.round(10.0) for _ in range(20)]
    assert limits[-1] == MOST > grown


@given(
    st.lists(st.tuples(st.sampled_from(["round", "refused", "wanted", "paced"]), st.floats(0.001, 50))),
    st.floats(0, 1.2),
)
def test_it_never_leaves_its_bounds_and_loses_no_call(events: list[tuple[str, float]], busy: float) -> None:
    worker = Worker()
    concurrency = worker.concurrency
    for event, seconds in events:
        if event == "round":
            worker.round(seconds, busy)
        elif event == "refused":
            call = concurrency.begin()
            concurrency.refused(call, seconds)
            concurrency.end(call, usual=False)
        else:
            worker.now += seconds
            concurrency.wanted() if event == "wanted" else concurrency.paced()
        assert 1 <= concurrency.limit <= MOST
        assert concurrency.figures.calls_in_flight == 0


# A model with a capacity that is not declared


class Fixed(Concurrency):
    """A limit that hears of nothing."""

    def wanted(self) -> None:
        """It stays."""

    def refused(self, call: Begun, for_s: float = 0.0) -> None:
        """It stays."""


@dataclass(frozen=True)
class Measured:
    """After the limit had its time: of the model, and the mean of all subtasks' limits together."""

    answers_a_second: float
    limit: float


CAPACITY, MOST_CALLS = 40, 256
SETTLING_S, MEASURED_S = 60, 60


def measured(
    behaviour: dict[str, Any], starts: Sequence[int], capacities: Sequence[int], kind: type[Concurrency]
) -> list[Measured]:
    """With one capacity after the other, under more load than any of them takes."""

    async def load(endpoint: Endpoint, key: str) -> None:
        while True:
            try:
                await endpoint.complete(ChatRequest((Message("user", "?"),), "k", caller=caller(key)))
            except ModelError:
                await asyncio.sleep(0.1)

    async def run() -> list[Measured]:
        model, tasks, found = CapacityModel(capacities[0], **behaviour), [], []
        limits = [
            kind(start, MOST_CALLS, clock=now, wall_clock=now, processor=lambda: 0.0) for start in starts
        ]
        for limit in limits:
            endpoint = Endpoint(SPEC, model, concurrency=limit, breaker=Breaker(clock=now))
            tasks += [asyncio.create_task(load(endpoint, str(n))) for n in range(MOST_CALLS)]
        for capacity in capacities:
            model.capacity = capacity
            await asyncio.sleep(SETTLING_S)
            answers, seen = len(model.answered), 0
            for _ in range(MEASURED_S):
                await asyncio.sleep(1)
                seen += sum(each.limit for each in limits)
            answers = len(model.answered) - answers
            found.append(Measured(answers / MEASURED_S, seen / MEASURED_S))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return found

    return simulate(run())


@cache
def best_of_fixed_limits(behaviour: str, capacity: int) -> float:
    """Answers a second."""
    limits = capacity // 2, capacity, 2 * capacity
    found = [measured(BEHAVIOURS[behaviour], [limit], [capacity], Fixed)[0] for limit in limits]
    return max(each.answers_a_second for each in found)


BEHAVIOURS: dict[str, dict[str, Any]] = {
    "queues": {"latency_s": 1.0},
    "queues, answers of many lengths": {"latency_s": 1.0, "spread": 0.5},
    "refuses": {"latency_s": 1.0, "refuses": True},
    "refuses for a second": {"latency_s": 1.0, "refuses": True, "retry_after_s": 1.0},
}


@pytest.mark.parametrize("starts", [(4,), (120,), (16, 16)])
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_hidden_capacity_is_found_within_20_percent_of_the_best_fixed_limit_and_followed_when_it_halves(
    behaviour: str, starts: Sequence[int]
) -> None:
    capacities = CAPACITY, CAPACITY // 2
    found = measured(BEHAVIOURS[behaviour], starts, capacities, Concurrency)
    for capacity, each in zip(capacities, found, strict=True):
        best = best_of_fixed_limits(behaviour, capacity)
        assert each.answers_a_second >= 0.8 * best, (capacity, each, best)
        # What is above the capacity waits or is refused. Two subtasks agree more roughly.
        assert 0.8 * capacity <= each.limit <= (1.2 + 0.2 * len(starts)) * capacity, (capacity, each)


def with_model(most: int, start: int | None, parallelism: int) -> AgentJobSpec:
    model = ModelSpec(
        endpoint="http://m", name="m", timeout_ms=1, max_attempts=1, max_concurrency=most, concurrency=start
    )
    spec = in_memory_spec(prepare(Tracker, {}), ("key",), LIMITS, "none")
    return spec.model_copy(update={"model": model, "parallelism": parallelism})


@pytest.mark.parametrize(
    ("subtasks", "most", "start"),
    [(2, 16, 8), (4, 8, 4), (3, 10, 5), (64, 1, 1), (1, 16, 8)],
)
def test_more_subtasks_than_planned_share_the_calls_of_those(subtasks: int, most: int, start: int) -> None:
    """Fewer, while a TaskManager is lost, have no more than each had: its memory is for so many."""
    model = shared_out(with_model(most=16, start=8, parallelism=2), subtasks)
    assert model is not None
    assert (model.max_concurrency, model.concurrency) == (most, start)


def test_where_no_start_is_given_none_is_shared_out() -> None:
    model = shared_out(with_model(most=16, start=None, parallelism=2), 4)
    assert model is not None
    assert (model.max_concurrency, model.concurrency) == (8, None)


def test_an_agent_without_a_model_may_run_what_its_inbox_holds() -> None:
    spec = with_model(most=1, start=1, parallelism=1).model_copy(update={"model": None})
    assert concurrency_of(spec, None).limit == LIMITS.inbox_hard_events


def test_calls_that_hang_lower_the_limit_no_further_than_where_it_began() -> None:
    concurrency = Concurrency(8, 64)
    for _ in range(20):
        call = concurrency.begin()
        concurrency.hung(call)
        concurrency.end(call, usual=False)
    assert concurrency.limit == 8
    for _ in range(20):
        call = concurrency.begin()
        concurrency.refused(call)
        concurrency.end(call, usual=False)
    assert concurrency.limit == 1
