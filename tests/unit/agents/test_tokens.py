"""A share of the tokens a minute: by estimates alone, then as the endpoint counts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_agents.chat import ChatRequest, Message, Usage
from headrace_agents.model.breaker import Breaker
from headrace_agents.model.concurrency import Concurrency
from headrace_agents.model.endpoint import Endpoint
from headrace_agents.model.tokens import MINUTE_S, Estimate, TokenShare
from headrace_agents.model.turns import Moments, Turns
from headrace_agents.spec import ModelSpec
from tests.unit.agents.simulation import CapacityModel, now, simulate

LIMIT = 60_000


@dataclass
class Made:
    """A call, with what it took as the endpoint counted."""

    at: float
    tokens: int


def subtask(
    started: float,
    ends: float,
    subtasks: int,
    draw: random.Random,
    sizes: tuple[int, int],
    *,
    wrong: float = 0.0,
    limit: int = LIMIT,
) -> list[Made]:
    """What one of so many subtasks calls that always has something to ask.

    It wakes up to 0.9 s late. Estimates are off by up to this share; the endpoint counts 2 s later.
    """
    clock, made = [started], list[Made]()
    share = TokenShare(limit, subtasks, clock=lambda: clock[0])
    uncounted: list[tuple[float, Made, object]] = []
    while True:
        tokens = draw.randint(*sizes)
        estimate = Estimate(max(1, round(tokens * draw.uniform(1 - wrong, 1 + wrong))), 10)
        while (wait_s := share.wait_s(estimate)) > 0:
            clock[0] += min(wait_s, 1.0) + (draw.uniform(0, 0.9) if draw.random() < 0.1 else 0.0)
            while uncounted and uncounted[0][0] <= clock[0]:
                _, call, spent = uncounted.pop(0)
                share.counted(spent, Usage(call.tokens, 0))  # type: ignore[arg-type]
        if clock[0] >= ends:
            return made
        made.append(Made(clock[0], tokens))
        uncounted.append((clock[0] + 2.0, made[-1], share.take(estimate)))


def most_in_a_minute(made: Sequence[Made]) -> int:
    """Tokens over all sliding minutes, half open: each may begin at a call."""
    most = total = end = 0
    for first in made:
        while end < len(made) and made[end].at < first.at + MINUTE_S:
            total += made[end].tokens
            end += 1
        most = max(most, total)
        total -= first.tokens
    return most


def used(made: Sequence[Made], since: float, until: float) -> float:
    """A minute, on average."""
    return sum(each.tokens for each in made if since <= each.at < until) * MINUTE_S / (until - since)


@settings(max_examples=40, deadline=None)
@given(
    phases=st.lists(st.tuples(st.integers(1, 5), st.floats(0.1, 150)), min_size=1, max_size=5),
    largest=st.integers(LIMIT // 500, LIMIT // 50),
    seed=st.integers(),
)
def test_no_sliding_minute_has_more_tokens_than_the_limit_whatever_starts_and_ends_in_it(
    phases: list[tuple[int, float]], largest: int, seed: int
) -> None:
    """Calls of up to 2% of the limit, from up to five subtasks that are killed or rescaled at once."""
    draw = random.Random(seed)
    made: list[Made] = []
    at = 0.0
    for subtasks, seconds in phases:
        for _ in range(subtasks):
            made += subtask(at + draw.uniform(0, 0.5), at + seconds, subtasks, draw, (largest // 4, largest))
        at += seconds
    assert most_in_a_minute(sorted(made, key=lambda each: each.at)) <= LIMIT


def test_what_five_subtasks_had_gathered_and_spent_before_a_restart_is_within_the_minute() -> None:
    """The worst moment: each makes its one call of 2% of the limit, and is killed."""
    size, clock = LIMIT // 50, [0.0]
    before = [TokenShare(LIMIT, 5, clock=lambda: clock[0]) for _ in range(5)]
    clock[0] = 100.0
    made = []
    for share in before:
        estimate = Estimate(size, 1)
        assert share.wait_s(estimate) <= 0
        share.take(estimate)
        made.append(Made(clock[0], size))
    draw = random.Random(1)
    for _ in range(2):
        made += subtask(clock[0] + 0.1, clock[0] + MINUTE_S, 2, draw, (100, 100))
    assert most_in_a_minute(sorted(made, key=lambda each: each.at)) <= LIMIT


@settings(max_examples=30, deadline=None)
@given(subtasks=st.integers(1, 4), largest=st.integers(LIMIT // 200, LIMIT // 4), seed=st.integers())
def test_without_a_restart_calls_of_any_size_keep_the_limit(subtasks: int, largest: int, seed: int) -> None:
    draw = random.Random(seed)
    made = [
        call
        for _ in range(subtasks)
        for call in subtask(
            draw.uniform(0, 5), 300, subtasks, draw, (largest // 4, min(largest, LIMIT // subtasks))
        )
    ]
    assert most_in_a_minute(sorted(made, key=lambda each: each.at)) <= LIMIT


@pytest.mark.parametrize("subtasks", [1, 2, 4])
@pytest.mark.parametrize("wrong", [0.0, 0.5], ids=["estimates-right", "estimates-wrong"])
def test_under_load_95_percent_of_the_limit_are_used_and_wrong_estimates_even_out(
    subtasks: int, wrong: float
) -> None:
    draw = random.Random(subtasks)
    made = [
        call for _ in range(subtasks) for call in subtask(0, 400, subtasks, draw, (100, 900), wrong=wrong)
    ]
    assert 0.95 * LIMIT <= used(made, 30, 390) <= LIMIT
    most = most_in_a_minute(sorted(made, key=lambda each: each.at))
    assert most <= LIMIT * (1 if not wrong else 1.03)


def test_after_quiet_a_call_of_many_tokens_goes_at_once() -> None:
    clock = [0.0]
    share = TokenShare(LIMIT, 2, clock=lambda: clock[0])
    clock[0] = 100.0
    assert share.wait_s(Estimate(10_000, 1)) <= 0


def test_a_call_larger_than_the_share_is_alone_in_its_minute() -> None:
    clock = [0.0]
    share = TokenShare(600, 4, clock=lambda: clock[0])
    clock[0] = 1_000.0
    share.take(Estimate(10, 1))
    clock[0] = 1_030.0
    assert share.wait_s(Estimate(200, 1)) > 29
    clock[0] = 1_200.0
    assert share.wait_s(Estimate(200, 1)) <= 0


def test_estimates_are_learned_from_what_the_endpoint_counts() -> None:
    share = TokenShare(LIMIT, 1, clock=lambda: 0.0)
    request = ChatRequest((Message("user", "x" * 1_000),), "k")
    first = share.estimate(request)
    assert first.tokens > first.request_bytes / 4
    for _ in range(50):
        share.counted(share.take(share.estimate(request)), Usage(100, 40))
    assert share.estimate(request).tokens == pytest.approx(140, abs=2)
    short = ChatRequest((Message("user", "x" * 1_000),), "k", max_output_tokens=10)
    assert share.estimate(short).tokens == pytest.approx(110, abs=3)


def test_where_the_endpoint_counts_nothing_estimates_stand() -> None:
    share = TokenShare(LIMIT, 1, clock=lambda: 0.0)
    estimate = share.estimate(ChatRequest((Message("user", "?"),), "k"))
    share.counted(spent := share.take(estimate), Usage())
    assert spent.tokens == estimate.tokens


@pytest.mark.parametrize(
    ("requests", "tokens", "short"),
    [(600, 1_000_000, "requests"), (6_000, 60_000, "tokens"), (600, 60_000, "")],
)
def test_both_limits_hold_at_once_and_the_one_that_is_short_is_used(
    requests: int, tokens: int, short: str
) -> None:
    """Through the endpoint: calls of 100 tokens, as the model counts them."""
    usage, seconds = Usage(60, 40), 300

    async def run() -> CapacityModel:
        model = CapacityModel(10_000, 1.0, spread=0.3, usage=usage)
        spec = ModelSpec(endpoint="http://m", name="m", timeout_ms=60_000, max_attempts=1, max_concurrency=64)
        turns = Turns(Moments(requests, 0, 1, clock=now), TokenShare(tokens, 1, clock=now))
        limit = Concurrency(64, 64, clock=now, wall_clock=now, processor=lambda: 0.0)
        endpoint = Endpoint(spec, model, concurrency=limit, breaker=Breaker(clock=now), turns=turns)

        async def ask() -> None:
            while True:
                await endpoint.complete(ChatRequest((Message("user", "How are you?"),), "k"))

        tasks = [asyncio.create_task(ask()) for _ in range(200)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return model

    asked = [at for at, _ in simulate(run()).asked]
    made = [Made(at, usage.total_tokens) for at in asked]
    late = [each for each in made if each.at >= 60]
    assert most_in_a_minute([Made(at, 1) for at in asked]) <= requests
    assert most_in_a_minute(late) <= tokens
    a_minute = len(late) * MINUTE_S / (seconds - 60)
    if short != "tokens":
        assert a_minute >= 0.95 * requests
    if short != "requests":
        assert a_minute * usage.total_tokens >= 0.95 * tokens
