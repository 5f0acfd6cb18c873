"""How many runs may be under way: more while they wait for the model, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_agents.agent import prepare
from headrace_agents.slots import CALM_S, STEP_S, Slots, shared_out, slots_of
from headrace_agents.spec import AgentJobSpec, ModelSpec
from headrace_agents.testing import in_memory_spec
from tests.unit.agents.worlds import LIMITS, Tracker

START, MOST, BUSY = 8, 64, 0.7


class Worker:
    """Time, and processor time used, as a test has them pass."""

    def __init__(self) -> None:
        self.now = self.used = 0.0
        self.slots = Slots(START, MOST, BUSY, clock=lambda: self.now, processor=lambda: self.used)

    def short(self, seconds: float, busy: float = 0.1) -> int:
        """Runs wait for so long; returns how many may be under way by then."""
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            self.used += busy * STEP_S
            self.slots.short()
        return self.slots.limit


def test_runs_that_wait_for_the_model_get_more_slots_step_by_step_up_to_the_most() -> None:
    worker = Worker()
    assert [worker.short(1) for _ in range(4)] == [10, 12, 15, 18]
    assert worker.short(60) == MOST


def test_several_that_wait_at_once_are_one_step() -> None:
    worker = Worker()
    worker.now = STEP_S
    for _ in range(100):
        worker.slots.short()
    assert worker.slots.limit == 10


def test_a_worker_without_processor_time_left_gets_none() -> None:
    worker = Worker()
    assert worker.short(60, busy=BUSY + 0.1) == START


def test_a_limit_of_the_provider_takes_them_back_until_it_is_calm() -> None:
    worker = Worker()
    worker.short(10)
    worker.slots.limited()
    assert worker.slots.limit == START
    assert worker.short(CALM_S - 1) == START
    assert worker.short(2) > START


@given(st.lists(st.sampled_from([Slots.short, Slots.limited]), max_size=200), st.floats(0, 1.2))
def test_there_are_never_fewer_than_at_the_start_nor_more_than_the_most(
    told: list[Callable[[Slots], None]], busy: float
) -> None:
    worker = Worker()
    for tell in told:
        worker.now += STEP_S
        worker.used += busy
        tell(worker.slots)
        assert START <= worker.slots.limit <= MOST


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
    assert slots_of(spec, None).limit == LIMITS.inbox_hard_events
