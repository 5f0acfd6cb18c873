"""Draws, fates, latencies and the rate limit, as pure functions."""

from __future__ import annotations

from collections import Counter
from statistics import quantiles

import pytest

from headrace_agents.scripted_model import LatencySpread, Settings
from headrace_agents.scripted_model.chance import Draw, Fate, draw, fate, latency_s
from headrace_agents.scripted_model.limiter import Limiter

DRAWS = [draw(7, f"key-{n}", 1) for n in range(4000)]


def test_a_draw_depends_on_seed_key_and_attempt_and_nothing_else() -> None:
    assert draw(1, "k", 1) == draw(1, "k", 1)
    assert len({draw(1, "k", 1), draw(2, "k", 1), draw(1, "l", 1), draw(1, "k", 2)}) == 4


def test_each_fate_gets_its_share() -> None:
    settings = Settings(error_rate=0.2, hang_rate=0.1, malformed_rate=0.3)

    shares = Counter(fate(settings, drawn) for drawn in DRAWS)

    expected = {Fate.ERROR: 0.2, Fate.HUNG: 0.1, Fate.MALFORMED: 0.3, Fate.ANSWERED: 0.4}
    assert {name: shares[name] / len(DRAWS) for name in expected} == pytest.approx(expected, abs=0.03)


def test_a_rate_of_one_leaves_nothing_out() -> None:
    assert {fate(Settings(hang_rate=1), drawn) for drawn in DRAWS} == {Fate.HUNG}


def test_the_spread_has_the_p50_and_p99_it_was_given() -> None:
    settings = Settings(latency_ms=LatencySpread(p50=200, p99=900))

    percentiles = quantiles((latency_s(settings, drawn) * 1000 for drawn in DRAWS), n=100)

    assert percentiles[49] == pytest.approx(200, rel=0.05)
    assert percentiles[98] == pytest.approx(900, rel=0.2)


def test_a_spread_without_width_is_fixed() -> None:
    settings = Settings(latency_ms=LatencySpread(p50=50, p99=50))

    assert latency_s(settings, Draw(0.5, 0.5, 0.999)) == pytest.approx(0.05)


def test_the_limiter_lets_a_second_of_requests_through_and_says_how_long_to_wait() -> None:
    limiter = Limiter(3)

    assert [limiter.wait_s(10.0) for _ in range(3)] == [0, 0, 0]
    wait_s = limiter.wait_s(10.0)
    assert wait_s == pytest.approx(1 / 3)
    assert limiter.wait_s(10.0 + wait_s) == 0
    assert [limiter.wait_s(60.0) for _ in range(3)] == [0, 0, 0]


def test_a_limit_below_one_a_second_lets_one_through_at_a_time() -> None:
    limiter = Limiter(0.02)

    assert limiter.wait_s(0.0) == 0
    assert limiter.wait_s(1.0) == pytest.approx(49)
