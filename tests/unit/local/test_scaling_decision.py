"""Decisions of scaling: what they are for each kind of shortage, and what holds over all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.environment import load_environment
from headrace.local.scaling.decision import Cause, Decision, Observation, decide
from headrace.local.scaling.orders import Bounds
from headrace.plan import plan
from tests.unit.environment.declarations import SHIPPED

TIMES = plan(load_environment(SHIPPED)).scaling
OBSERVE_S, COOLDOWN_S, QUIET_S = TIMES.observe_ms / 1000, TIMES.cooldown_ms / 1000, TIMES.quiet_ms / 1000
BOUNDS = Bounds(
    agent="triage",
    least=1,
    most=4,
    normal_lag_events=250,
    calls_most=256,
    requests_per_minute=None,
    tokens_per_minute=None,
)
NEVER = float("-inf")
QUIET = Observation(
    at=0.0,
    running=1,
    wanted=1,
    backlog=0,
    settled_per_s=50,
    busy=0.1,
    answered_per_s=50,
    limited_per_s=0,
    tokens_per_s=0,
    runs_waiting=0,
    concurrency_limit=30,
    calls_in_flight=10,
)
WAITING = replace(QUIET, backlog=5_000)
FULL = replace(WAITING, busy=0.95, settled_per_s=400)


def looks(each: Observation, count: int = 8) -> list[Observation]:
    """The same for so many looks, the last one at 0."""
    return [replace(each, at=-OBSERVE_S * back) for back in reversed(range(count))]


def decided(
    each: Observation, *, bounds: Bounds = BOUNDS, count: int = 8, changed_at: float = NEVER
) -> Decision:
    return decide(bounds, TIMES, looks(each, count), changed_at)


def test_load_that_is_met_changes_nothing() -> None:
    assert decided(QUIET) == Decision(1, "met", "0 events wait, up to 250 are usual")


def test_a_shortage_of_processor_time_is_met_by_subtasks() -> None:
    found = decided(FULL)
    # 400 a second come and 4750 too many wait: 479 a second for a minute, at 295 a subtask at its target.
    assert (found.parallelism, found.cause) == (2, "processor")
    assert "5000 events wait, 400 a second are decided and subtasks use 95% of a core each" in found.reason


def test_the_larger_the_backlog_the_more_subtasks_within_the_bounds() -> None:
    wanted = [decided(replace(FULL, backlog=waiting)).parallelism for waiting in (1_000, 20_000, 10**7)]
    assert wanted == [2, 3, 4]


def test_subtasks_that_are_full_and_keep_up_are_short_of_nothing() -> None:
    assert decided(replace(QUIET, busy=1.0)).cause == "met"


@pytest.mark.parametrize(
    ("changed", "cause", "said"),
    [
        (
            {"limited_per_s": 3.0, "answered_per_s": 20.0},
            "model_limit",
            "20.0 calls a second and refuses 3.0",
        ),
        ({"runs_waiting": 90}, "calls_in_flight", "from 30 calls in flight up to 256"),
        (
            {"runs_waiting": 90, "concurrency_limit": 256},
            "calls_at_bound",
            "256 calls in flight are the most",
        ),
        ({}, "elsewhere", "5000 events wait; subtasks use 10% of a core each"),
    ],
)
def test_what_is_no_shortage_of_processor_time_is_met_by_no_subtask(
    changed: dict[str, Any], cause: Cause, said: str
) -> None:
    found = decided(replace(WAITING, **changed))
    assert (found.parallelism, found.cause) == (1, cause)
    assert said in found.reason


def test_the_models_limit_holds_even_where_the_processor_is_short() -> None:
    assert decided(replace(FULL, limited_per_s=0.2)).cause == "model_limit"


def test_a_declared_limit_that_is_reached_holds_before_the_provider_refuses() -> None:
    bounds = BOUNDS.model_copy(update={"requests_per_minute": 1_000})
    found = decided(replace(FULL, answered_per_s=16.0), bounds=bounds)
    assert found.cause == "model_limit"
    assert "960 calls a minute are the declared requests_per_minute 1000" in found.reason


def test_a_declared_limit_in_tokens_holds_as_one_in_requests() -> None:
    bounds = BOUNDS.model_copy(update={"tokens_per_minute": 100_000})
    found = decided(replace(FULL, tokens_per_s=1_600.0), bounds=bounds)
    assert found.cause == "model_limit"
    assert "96000 tokens a minute are the declared tokens_per_minute 100000" in found.reason
    assert decided(replace(FULL, tokens_per_s=900.0), bounds=bounds).cause != "model_limit"


def test_a_burst_that_is_shorter_than_the_window_changes_nothing() -> None:
    seen = [*looks(replace(QUIET)), replace(FULL, at=OBSERVE_S), replace(FULL, at=2 * OBSERVE_S)]
    assert decide(BOUNDS, TIMES, seen, NEVER).cause == "met"


def test_what_was_not_seen_for_the_whole_window_is_only_watched() -> None:
    assert decided(FULL, count=2).cause == "watching"


def test_subtasks_that_do_not_run_are_waited_for() -> None:
    found = decided(replace(FULL, running=1, wanted=2))
    assert (found.parallelism, found.cause) == (2, "not_whole")


def test_between_two_changes_there_is_the_cooldown() -> None:
    found = decided(FULL, changed_at=-COOLDOWN_S + 20)
    assert (found.parallelism, found.cause) == (1, "cooling_down")
    assert "in 20 s at the earliest" in found.reason
    assert decided(FULL, changed_at=-COOLDOWN_S).cause == "processor"


def test_at_the_bound_the_reason_names_it() -> None:
    found = decided(replace(FULL, running=4, wanted=4))
    assert (found.parallelism, found.cause) == (4, "bounds")
    assert "parallelism_max is 4" in found.reason


@pytest.mark.parametrize(("wanted", "within"), [(7, 4), (1, 2)])
def test_what_somebody_else_took_out_of_the_bounds_comes_back(wanted: int, within: int) -> None:
    bounds = BOUNDS.model_copy(update={"least": 2})
    assert decided(replace(QUIET, running=wanted, wanted=wanted), bounds=bounds).parallelism == within


def test_there_are_fewer_only_after_the_quiet_time() -> None:
    wide = replace(QUIET, running=4, wanted=4)
    enough = int(QUIET_S / OBSERVE_S) + 1
    assert decided(wide, count=enough - 1).cause == "met"
    found = decided(wide, count=enough)
    assert (found.parallelism, found.cause) == (1, "quiet")
    assert decided(replace(wide, busy=0.3), count=enough).parallelism == 2
    assert decided(replace(wide, busy=0.5), count=enough).parallelism == 4
    assert decided(replace(wide, limited_per_s=0.1), count=enough).parallelism == 4


observations = st.builds(
    Observation,
    at=st.just(0.0),
    running=st.integers(0, 6),
    wanted=st.integers(1, 6),
    backlog=st.integers(0, 10**6),
    settled_per_s=st.floats(0, 1e4),
    busy=st.floats(0, 1.2),
    answered_per_s=st.floats(0, 1e4),
    limited_per_s=st.just(0.0) | st.floats(0.001, 1e3),
    tokens_per_s=st.floats(0, 1e6),
    runs_waiting=st.integers(0, 1_000),
    concurrency_limit=st.integers(1, 300),
    calls_in_flight=st.integers(0, 300),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Observation]:
    """Looks one after the other; often with all subtasks, which is when decisions are made."""
    made = draw(st.lists(observations, min_size=1, max_size=12))
    if draw(st.booleans()):
        subtasks = draw(st.integers(1, 4))
        made = [replace(each, running=subtasks, wanted=subtasks) for each in made]
    return [replace(each, at=OBSERVE_S * number) for number, each in enumerate(made)]


@given(histories(), st.floats(-1e4, 1e3))
def test_no_decision_leaves_the_bounds_and_each_has_its_reason(
    seen: list[Observation], changed_at: float
) -> None:
    found = decide(BOUNDS, TIMES, seen, changed_at)
    assert BOUNDS.least <= found.parallelism <= BOUNDS.most
    assert any(character.isdigit() for character in found.reason)


@given(histories(), st.floats(-1e4, 1e3))
def test_a_limit_of_the_model_never_takes_parallelism_up(seen: list[Observation], changed_at: float) -> None:
    limited = [replace(each, limited_per_s=max(0.1, each.limited_per_s)) for each in seen]
    found = decide(BOUNDS, TIMES, limited, changed_at)
    assert found.parallelism <= max(seen[-1].wanted, BOUNDS.least)


@given(histories(), st.floats(0, 1e3))
def test_within_the_cooldown_nothing_changes_but_what_is_out_of_bounds(
    seen: list[Observation], ago_s: float
) -> None:
    now = seen[-1]
    changed_at = now.at - min(ago_s, COOLDOWN_S - 1)
    found = decide(BOUNDS, TIMES, seen, changed_at)
    assert found.parallelism == max(BOUNDS.least, min(BOUNDS.most, now.wanted))


@dataclass
class Plant:
    """An agent whose subtasks each decide so many events a second, at so much of a core for each."""

    per_subtask: float
    parallelism: int = 1
    waiting: float = 0.0
    at: float = 0.0
    seen: list[Observation] = field(default_factory=list)
    changes: list[tuple[float, int, int]] = field(default_factory=list)

    def go(self, rates: Sequence[float]) -> None:
        """For each rate of events a second one look."""
        for rate in rates:
            self.at += OBSERVE_S
            most = self.parallelism * self.per_subtask
            settled = min(most, rate + self.waiting / OBSERVE_S)
            self.waiting = max(0.0, self.waiting + (rate - settled) * OBSERVE_S)
            self.seen.append(
                replace(
                    QUIET,
                    at=self.at,
                    running=self.parallelism,
                    wanted=self.parallelism,
                    backlog=int(self.waiting),
                    settled_per_s=settled,
                    busy=settled / most,
                )
            )
            self._decide()

    def _decide(self) -> None:
        changed_at = self.changes[-1][0] if self.changes else NEVER
        found = decide(BOUNDS, TIMES, self.seen, changed_at)
        if found.parallelism != self.parallelism:
            self.changes.append((self.at, self.parallelism, found.parallelism))
            self.parallelism = found.parallelism
            self.seen.clear()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2_000), st.integers(1, 60)), min_size=1, max_size=8))
def test_whatever_the_load_does_changes_are_apart_and_fewer_come_after_quiet_alone(
    load: list[tuple[float, int]],
) -> None:
    plant = Plant(per_subtask=300)
    plant.go([rate for rate, times in load for _ in range(times)])
    for (before, _, _), (after, _, _) in zip(plant.changes, plant.changes[1:], strict=False):
        assert after - before >= COOLDOWN_S
    for at, old, new in plant.changes:
        assert BOUNDS.least <= new <= BOUNDS.most
        since = max((each for each, _, _ in plant.changes if each < at), default=0.0)
        assert new > old or at - since >= QUIET_S


@settings(max_examples=60, deadline=None)
@given(st.floats(1, 1_100))
def test_a_load_that_stays_the_same_comes_to_rest_with_nothing_waiting(rate: float) -> None:
    plant = Plant(per_subtask=300)
    settled_by = int(10 * QUIET_S / OBSERVE_S)
    plant.go([rate] * settled_by)
    changes = len(plant.changes)
    plant.go([rate] * settled_by)
    assert len(plant.changes) == changes
    assert plant.waiting <= BOUNDS.normal_lag_events
    assert plant.parallelism >= min(BOUNDS.most, math.ceil(rate / 300))
