"""What calls take: the most, the price, and sums that add up whoever was killed."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from headrace_agents.chat import ChatRequest, Message, ToolCall, ToolSchema, Usage
from headrace_agents.model import costs as costs_module
from headrace_agents.model.amounts import Amount, amount_of, most_of
from headrace_agents.model.costs import CostFigures, Costs, Spent, costs_in
from headrace_agents.spec import ModelSpec, PricesSpec

PRICES = PricesSpec(input_microdollars=150_000, output_microdollars=600_000)
SPEC = ModelSpec(
    endpoint="scripted",
    name="m",
    timeout_ms=1,
    max_attempts=1,
    max_concurrency=1,
    max_output_tokens=100,
    prices=PRICES,
)


class Answer(BaseModel):
    queue: str


def test_a_million_tokens_cost_what_is_declared() -> None:
    assert amount_of(Usage(1_000_000, 0), PRICES) == Amount(1_000_000, 150_000 * 1_000_000)
    assert amount_of(Usage(1, 1), PRICES) == Amount(2, 750_000)
    assert amount_of(Usage(1, 1), None) == Amount(2, 0)


def test_the_most_counts_everything_that_is_sent_by_its_bytes() -> None:
    words = "a" * 10
    call = ToolCall("id", "name", words)
    request = ChatRequest((Message("user", "é" * 10), Message("assistant", "", (call,))), "k", Answer)
    told = ChatRequest(request.messages, "k", Answer, (ToolSchema("t", "d", {}),))

    assert most_of(request, SPEC).tokens >= 20 + 16 + len("queue") + 100
    assert most_of(told, SPEC).tokens > most_of(request, SPEC).tokens


@pytest.mark.parametrize(("asked", "most"), [(None, 100), (40, 40), (400, 100)])
def test_the_most_that_is_put_out_is_the_smaller_bound(asked: int | None, most: int) -> None:
    def output(max_output_tokens: int | None) -> int:
        request = ChatRequest((Message("user", "?"),), "k", max_output_tokens=max_output_tokens)
        return most_of(request, SPEC).picodollars

    assert output(asked) - output(1) == (most - 1) * PRICES.output_microdollars


CALLS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d", "e"]),
        st.integers(0, 10_000),
        st.integers(0, 10_000),
        st.sampled_from(["answered", "answered", "unanswered", "killed"]),
    )
)


@given(CALLS)
def test_sums_are_those_of_the_calls_whatever_was_killed_and_forgotten(
    calls: list[tuple[str, int, int, str]],
) -> None:
    """With room for two sums, so that others are begun anew."""
    written: list[tuple[bytes | None, bytes | None]] = []
    day = 7

    def started() -> Costs:
        return Costs(lambda key, value: written.append((key, value)), lambda: day)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(costs_module, "SUMS_HELD", 2)
        costs = started()
        expected: dict[str, Spent] = {}
        for key, sent, answered, end in calls:
            usage, spent = Usage(sent, answered), expected.get(key, Spent())
            amount = amount_of(usage, PRICES)
            if end == "killed":
                costs = started()
            elif end == "answered":
                costs.answered("m", key, usage, amount)
                expected[key] = spent + Spent(
                    calls=1, input_tokens=sent, output_tokens=answered, picodollars=amount.picodollars
                )
            else:
                costs.unanswered("m", key, amount)
                expected[key] = spent + Spent(
                    unanswered_calls=1,
                    unanswered_tokens=amount.tokens,
                    unanswered_picodollars=amount.picodollars,
                )

    found = {cost.key_hash: cost.spent for cost in costs_in(written)}
    assert found == expected


def test_a_sum_is_written_under_one_record_key_while_it_is_held() -> None:
    keys: set[bytes] = set()
    costs = Costs(lambda key, _: keys.add(key), lambda: 7)
    for _ in range(2):
        for number in range(4_200):
            costs.answered("m", f"{number:016x}", Usage(1, 0), Amount(1, 1))

    assert len(keys) == 4_200


def test_a_held_sum_takes_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    held = 3_000
    monkeypatch.setattr(costs_module, "SUMS_HELD", held)
    costs = Costs(lambda *_: None, lambda: 20_000)
    tracemalloc.start()
    for number in range(2 * held):
        costs.answered("m", f"{number:016x}", Usage(1_000_000, 50_000), Amount(1_050_000, 10**12))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size / held < 450


def test_sums_are_kept_apart_by_day_and_model() -> None:
    written: list[tuple[bytes | None, bytes | None]] = []
    today = [1]
    costs = Costs(lambda key, value: written.append((key, value)), lambda: today[0])
    for day in (1, 2):
        today[0] = day
        for model in ("big", "small"):
            costs.answered(model, "k", Usage(1, 0), Amount(1, day))

    found = [(cost.day, cost.model, cost.spent.picodollars) for cost in costs_in(written)]
    assert found == [(1, "big", 1), (1, "small", 1), (2, "big", 2), (2, "small", 2)]


def test_no_business_key_is_in_a_record() -> None:
    written: list[tuple[bytes, bytes]] = []
    Costs(lambda key, value: written.append((key, value)), lambda: 1).answered("m", "00ff", Usage(), Amount())

    assert json.loads(written[0][0]).keys() == {"day", "model", "key_hash", "writer"}


def test_figures_add_up_in_micro_dollars() -> None:
    figures = CostFigures()
    costs = Costs(lambda *_: None, lambda: 1, figures)
    for _ in range(100):
        costs.answered("m", "k", Usage(3, 2), amount_of(Usage(3, 2), PRICES))
    costs.unanswered("m", "k", amount_of(Usage(10, 0), PRICES))

    assert (figures.tokens_input, figures.tokens_output, figures.calls_unanswered) == (300, 200, 1)
    assert figures.cost_microdollars == 300 * 0.15 + 200 * 0.6
    assert figures.cost_unanswered_microdollars == 1  # and a half
