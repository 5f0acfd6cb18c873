"""When a new version is kept, watched on, or undone."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.upgrades.gate import Look, Verdict, at_least, judge
from headrace_agents.model.amounts import PICODOLLARS_PER_DOLLAR
from headrace_agents.upgrades.conduct import Conduct

BEFORE = Conduct(
    events=5_000, dead_letters=50, model_calls=5_000, runs=5_000, picodollars=5 * PICODOLLARS_PER_DOLLAR
)
HEALTHY_FOR_S = 30.0


def look(seconds: float = 30, **changed: object) -> Look:
    events = round(50 * seconds)
    good = {
        "seconds": seconds,
        "checkpoints": int(seconds / 2),
        "since_checkpoint_s": min(2.0, seconds),
        "failures": 0,
        "backlog": 10,
        "conduct": conduct(events),
    }
    return Look.model_validate(good | changed)


def conduct(events: int, dead_letters: int | None = None, times_cost: float = 1) -> Conduct:
    dead = events // 100 if dead_letters is None else dead_letters
    cost = round(times_cost * events * PICODOLLARS_PER_DOLLAR / 1_000)
    return Conduct(events=events, dead_letters=dead, model_calls=events, runs=events, picodollars=cost)


def verdict(*looks: Look, before: Conduct = BEFORE) -> Verdict:
    return judge(before, looks, HEALTHY_FOR_S, 2.0)


def test_as_good_as_before_for_the_declared_time_is_healthy() -> None:
    assert verdict(look(2)).kind == "not yet"
    assert verdict(look(2), look(29)).kind == "not yet"
    assert verdict(look(2), look(31)).kind == "healthy"


def test_one_without_any_event_is_healthy_as_long_as_it_makes_checkpoints() -> None:
    quiet = Conduct()
    assert verdict(look(31, backlog=0, conduct=quiet), before=quiet).kind == "healthy"
    assert verdict(look(31, backlog=0, conduct=quiet, checkpoints=0), before=quiet).kind == "not yet"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (look(12, failures=2, failure="ValueError: no"), "failed 2 times: ValueError: no"),
        (look(61, checkpoints=0, since_checkpoint_s=61), "no checkpoint completed for 61 s"),
        (look(3, conduct=conduct(150, dead_letters=150)), "150 of 150 events became dead letters"),
        (look(30, conduct=conduct(1_500, dead_letters=45)), "45 of 1500 events became dead letters (3.0%)"),
        (look(5, conduct=conduct(250, times_cost=10)), "a run costs $0.010000, before it was $0.001000"),
    ],
    ids=["fails", "no checkpoint", "raises on every event", "more dead letters", "ten times the cost"],
)
def test_a_bad_version_is_told_by(bad: Look, said: str) -> None:
    found = verdict(look(1), bad)
    assert found.kind == "bad"
    assert said in found.reason


def test_without_prices_it_is_the_calls_that_count() -> None:
    before = Conduct(events=1_000, model_calls=1_000, runs=1_000)
    after = Conduct(events=100, model_calls=1_000, runs=100)
    found = verdict(look(3, conduct=after), before=before)
    assert (found.kind, found.reason) == (
        "bad",
        "an event takes 10.00 calls to the model, before it took 1.00",
    )


def test_events_that_wait_while_none_is_decided_are_a_reason() -> None:
    still = conduct(10)
    looks = [look(seconds, backlog=100, conduct=still) for seconds in (1, 11, 21, 32)]
    assert verdict(*looks[:3]).kind == "not yet"
    assert "none was decided" in verdict(*looks).reason
    moving = [*looks[:3], look(32, backlog=100, conduct=conduct(11))]
    assert "none was decided" not in verdict(*moving).reason


def test_a_backlog_that_grows_is_waited_for_and_is_a_reason_in_the_end() -> None:
    assert verdict(look(1, backlog=100), look(31, backlog=2_000)).kind == "not yet"
    assert verdict(look(1, backlog=100), look(31, backlog=2_000), look(60, backlog=90)).kind == "healthy"
    assert verdict(look(1, backlog=100), look(91, backlog=4_000)).kind == "bad"


def test_a_handful_of_dead_letters_proves_nothing() -> None:
    assert verdict(look(1, conduct=conduct(4, dead_letters=4))).kind == "not yet"
    assert verdict(look(31, conduct=conduct(1_500, dead_letters=22))).kind == "healthy"


def test_a_share_of_dead_letters_that_may_be_chance_is_watched_on_and_then_tolerated() -> None:
    doubtful = conduct(1_500, dead_letters=27)
    found = verdict(look(31, conduct=doubtful))
    assert (found.kind, "27 of 1500" in found.reason) == ("not yet", True)
    assert verdict(look(91, conduct=doubtful)).kind == "healthy"
    assert verdict(look(45, conduct=conduct(2_250, dead_letters=55))).kind == "bad"


def test_twice_the_share_of_dead_letters_is_found_and_the_same_share_is_not() -> None:
    """Of 10% before: within the time that the gate watches at most, at 10 events a second."""
    before = conduct(1_000, dead_letters=100)
    chance = random.Random(1)
    told: dict[float, list[str]] = {0.1: [], 0.2: []}
    for share, kinds in told.items():
        for _ in range(200):
            dead, kind = 0, "not yet"
            looks = list[Look]()
            for seconds in range(2, 92, 2):
                dead += sum(chance.random() < share for _ in range(20))
                looks.append(look(seconds, conduct=conduct(10 * seconds, dead_letters=dead)))
                kind = verdict(*looks, before=before).kind
                if kind != "not yet":
                    break
            kinds.append(kind)
    assert told[0.1].count("bad") == 0
    assert told[0.2].count("bad") > 150


@given(trials=st.integers(1, 300), share=st.floats(0.001, 0.999), chosen=st.floats(0, 1))
def test_the_tail_of_the_binomial_distribution_is_its_sum(trials: int, share: float, chosen: float) -> None:
    successes = round(chosen * trials)
    exact = math.fsum(
        math.comb(trials, count) * share**count * (1 - share) ** (trials - count)
        for count in range(successes, trials + 1)
    )
    assert at_least(successes, trials, share) == pytest.approx(exact, abs=1e-9)
