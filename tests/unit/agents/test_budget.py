"""Budgets: what is granted, lent and settled, over any crashes; no time passes but the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_agents.chat import ChatRequest, Message, ModelError, Usage
from headrace_agents.model.amounts import NOTHING, Amount
from headrace_agents.model.budget import AGENT_PARTS, DAY_S, KEY_PARTS, Budget
from headrace_agents.model.costs import costs_in
from headrace_agents.model.metering import Meters
from headrace_agents.spec import AllowanceSpec, BudgetSpec, ChatEndpointSpec
from tests.unit.agents.ledger import Topic, caller

DOLLAR = 1_000_000
"""In micro-dollars."""


class Clock:
    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def tokens(many: int) -> Amount:
    return Amount(tokens=many)


def of_agent(many: int, at_limit: str = "fail") -> BudgetSpec:
    return BudgetSpec.model_validate({"agent": {"tokens": many}, "key": None, "at_limit": at_limit})


def test_what_a_call_did_not_take_is_there_for_others() -> None:
    async def run() -> None:
        budget = Budget("m", of_agent(1_000), Topic(), 1, clock=Clock())
        for _ in range(50):
            loan = await budget.reserve(tokens(510), None)
            loan.settle(tokens(10))
        with pytest.raises(ModelError, match="budget"):
            await budget.reserve(tokens(501), None)

    asyncio.run(run())


def test_what_a_call_took_beyond_its_most_counts_too() -> None:
    async def run() -> None:
        budget = Budget("m", of_agent(1_000), Topic(), 1, clock=Clock())
        loan = await budget.reserve(tokens(100), None)
        loan.settle(tokens(950))
        with pytest.raises(ModelError, match="budget"):
            await budget.reserve(tokens(51), None)
        (await budget.reserve(tokens(50), None)).settle(NOTHING)

    asyncio.run(run())


def test_money_and_tokens_are_both_kept() -> None:
    spec = BudgetSpec(agent=AllowanceSpec(tokens=100, microdollars=DOLLAR), key=None, at_limit="fail")

    async def run() -> None:
        cheap, dear = Amount(60, 10), Amount(1, 10**12)
        by_tokens = Budget("m", spec, Topic(), 1, clock=Clock())
        (await by_tokens.reserve(cheap, None)).settle(cheap)
        with pytest.raises(ModelError):
            await by_tokens.reserve(cheap, None)
        by_money = Budget("m", spec, Topic(), 1, clock=Clock())
        (await by_money.reserve(dear, None)).settle(dear)
        with pytest.raises(ModelError):
            await by_money.reserve(Amount(1, 1), None)

    asyncio.run(run())


def test_a_key_past_its_own_budget_fails_and_others_go_on() -> None:
    spec = BudgetSpec(agent=None, key=AllowanceSpec(tokens=100), at_limit="wait")

    async def run() -> None:
        budget = Budget("m", spec, Topic(), 1, clock=Clock())
        (await budget.reserve(tokens(100), caller("noisy"))).settle(tokens(100))
        with pytest.raises(ModelError, match="this key"):
            await budget.reserve(tokens(1), caller("noisy"))
        (await budget.reserve(tokens(100), caller("quiet"))).settle(tokens(100))

    asyncio.run(run())


def test_the_next_day_has_its_own_allowance_and_gets_nothing_back_from_the_last() -> None:
    async def run() -> None:
        clock = Clock(DAY_S - 1)
        budget = Budget("m", of_agent(100), Topic(), 1, clock=clock)
        late = await budget.reserve(tokens(100), None)
        clock.now = DAY_S + 1.0
        (await budget.reserve(tokens(100), None)).settle(tokens(100))
        late.settle(NOTHING)
        with pytest.raises(ModelError):
            await budget.reserve(tokens(1), None)

    asyncio.run(run())


async def _sleeping(clock: Clock, monkeypatch: pytest.MonkeyPatch, call: Awaitable[object]) -> object:
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        await real(0)

    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "sleep", sleep)
        return await call


@pytest.mark.parametrize("at_limit", ["wait", "pause"])
def test_a_call_waits_for_the_next_day_and_its_run_loses_no_time(
    at_limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, topic = Clock(DAY_S - 600), Topic()
    still: list[float] = []

    @contextmanager
    def suspended() -> Iterator[None]:
        began = clock.now
        yield
        still.append(clock.now - began)

    async def run() -> None:
        budget = Budget("m", of_agent(100, at_limit), topic, 1, clock=clock)
        (await budget.reserve(tokens(100), None)).settle(tokens(100))
        loan = budget.reserve(tokens(100), caller("k", suspended))
        await _sleeping(clock, monkeypatch, loan)
        assert (budget.figures.budget_waits, budget.figures.budget_refusals) == (1, 0)

    asyncio.run(run())
    assert DAY_S <= clock.now < DAY_S + 2
    assert sum(still) == pytest.approx(600, abs=3)
    assert topic.paused == ([0] if at_limit == "pause" else [])


def test_what_is_asked_for_is_a_part_so_a_kill_loses_little() -> None:
    async def run() -> None:
        topic = Topic()
        budget = Budget("m", of_agent(AGENT_PARTS * 40), topic, 4, clock=Clock())
        for _ in range(10):
            (await budget.reserve(tokens(1), None)).settle(tokens(1))
        assert topic.asked == 1

        per_key = BudgetSpec(agent=None, key=AllowanceSpec(tokens=KEY_PARTS * 10), at_limit="fail")
        budget = Budget("m", per_key, topic, 4, clock=Clock())
        for _ in range(10):
            (await budget.reserve(tokens(1), caller("k"))).settle(tokens(1))
        assert topic.asked == 2

    asyncio.run(run())


def test_what_is_held_is_given_back_at_the_end() -> None:
    async def run() -> None:
        topic = Topic()
        for _ in range(50):
            budget = Budget("m", of_agent(1_000), topic, 1, clock=Clock())
            (await budget.reserve(tokens(500), None)).settle(tokens(10))
            budget.close()
        budget = Budget("m", of_agent(1_000), topic, 1, clock=Clock())
        with pytest.raises(ModelError):
            await budget.reserve(tokens(501), None)
        (await budget.reserve(tokens(500), None)).settle(NOTHING)

    asyncio.run(run())


Move = tuple[str, int, int, int]
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["call", "call", "call", "kill", "close"]),
        st.integers(0, 3),
        st.integers(1, 60),
        st.integers(0, 100),
    ),
    max_size=80,
)


@given(MOVES, st.integers(60, 2_000), st.integers(60, 300))
def test_no_schedule_of_calls_kills_and_ends_spends_more_than_the_budgets(
    moves: list[Move], of_all: int, of_key: int
) -> None:
    """Four subtasks; a call takes any share of its most. Killed in the middle of a call, it is spent."""
    spec = BudgetSpec(agent=AllowanceSpec(tokens=of_all), key=AllowanceSpec(tokens=of_key), at_limit="fail")
    spent: dict[str, int] = {}

    async def run() -> None:
        topic, clock = Topic(), Clock()
        budgets = {n: Budget("m", spec, topic, 4, clock=clock) for n in range(4)}
        for what, subtask, most, share in moves:
            if what == "close":
                budgets[subtask].close()
            if what != "call":
                budgets[subtask] = Budget("m", spec, topic, 4, clock=clock)
                continue
            clock.now += 2  # what was used up is asked for again
            key = f"key-{subtask}"
            try:
                loan = await budgets[subtask].reserve(tokens(most), caller(key))
            except ModelError:
                continue
            used = most * share // 100
            spent[key] = spent.get(key, 0) + used
            loan.settle(tokens(used))

    asyncio.run(run())
    assert sum(spent.values()) <= of_all
    assert all(used <= of_key for used in spent.values())


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 50)), min_size=1, max_size=60))
def test_calls_at_once_never_hold_more_than_there_is(calls: list[tuple[int, int]]) -> None:
    async def run() -> None:
        topic = Topic()
        budgets = [Budget("m", of_agent(200), topic, 2, clock=Clock()) for _ in range(2)]
        held = most_held = 0

        async def call(subtask: int, most: int) -> None:
            nonlocal held, most_held
            try:
                loan = await budgets[subtask % 2].reserve(tokens(most), None)
            except ModelError:
                return
            held += most
            most_held = max(most_held, held)
            await asyncio.sleep(0)
            held -= most
            loan.settle(NOTHING)

        await asyncio.gather(*(call(*each) for each in calls))
        assert most_held <= 200

    asyncio.run(run())


def test_whoever_waits_behind_another_that_asks_loses_no_time_either() -> None:
    """A grant may take as long as an outage of Kafka."""
    still: list[str] = []

    async def run() -> None:
        topic, may_go_on = Topic(), asyncio.Event()
        given = topic.grant

        async def slow(*asked: Any) -> Amount:
            await may_go_on.wait()
            return await given(*asked)

        topic.grant = slow  # type: ignore[assignment, method-assign]
        budget = Budget("m", of_agent(1_000), topic, 1, clock=Clock())

        @contextmanager
        def suspended(name: str) -> Iterator[None]:
            still.append(name)
            yield
            still.remove(name)

        calls = [
            asyncio.create_task(budget.reserve(tokens(1), caller(name, partial(suspended, name))))
            for name in "abc"
        ]
        await asyncio.sleep(0.01)
        assert sorted(still) == ["a", "b", "c"]
        may_go_on.set()
        await asyncio.gather(*calls)
        assert still == []

    asyncio.run(run())


def test_what_many_calls_at_once_left_is_given_back_for_others() -> None:
    async def run() -> None:
        topic, most = Topic(), tokens(5_000)
        first, second = (Budget("m", of_agent(100_000), topic, 2, clock=Clock()) for _ in range(2))
        loans = [await first.reserve(most, None) for _ in range(16)]
        for loan in loans:
            loan.settle(tokens(500))
        others = [await second.reserve(most, None) for _ in range(16)]
        assert len(others) == 16

    asyncio.run(run())


def test_a_call_that_waited_over_midnight_does_not_turn_the_day_back() -> None:
    async def run() -> None:
        topic, clock = Topic(), Clock(DAY_S - 1)
        asks = 0
        given = topic.grant

        async def at_midnight(*asked: Any) -> Amount:
            nonlocal asks
            asks += 1
            if asks == 1:  # of the key: meanwhile the day turns, and another call fills the agent's purse
                clock.now = DAY_S + 1.0
                (await budget.reserve(tokens(10), caller("other"))).settle(tokens(10))
            return await given(*asked)

        topic.grant = at_midnight  # type: ignore[assignment, method-assign]
        spec = BudgetSpec(agent=AllowanceSpec(tokens=100), key=AllowanceSpec(tokens=100), at_limit="fail")
        budget = Budget("m", spec, topic, 1, clock=clock)
        loan = await budget.reserve(tokens(10), caller("late"))
        assert loan.day == 1
        loan.settle(tokens(10))
        with pytest.raises(ModelError):
            await budget.reserve(tokens(81), caller("third"))

    asyncio.run(run())


def test_an_answer_whose_tokens_nobody_counted_has_taken_the_most() -> None:
    async def run() -> None:
        spec = ChatEndpointSpec(
            endpoint="http://m",
            name="m",
            timeout_ms=1,
            max_attempts=1,
            max_concurrency=1,
            budget=of_agent(1_000),
        )
        topic = Topic()
        meter = Meters(topic, clock=Clock()).capped(spec)
        request = ChatRequest((Message("user", "?"),), "k")
        for _ in range(5):
            (await meter.charge(request, tokens(200))).answered(Usage())
        with pytest.raises(ModelError, match="budget"):
            await meter.charge(request, tokens(200))
        (cost,) = costs_in(topic.costs.items())
        assert (cost.spent.calls, cost.spent.unanswered_calls) == (0, 5)

    asyncio.run(run())
