"""Money, on the real pipeline: counted to the micro-dollar, and never spent beyond the budget."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.operations.victims import TASKMANAGER, WORKERS
from headrace_agents.records import Reason
from tests.pipeline.commands import plan_of
from tests.pipeline.figures import figures
from tests.pipeline.model import ScriptedModel
from tests.pipeline.plugin import Pipeline
from tests.pipeline.waiting import until

AGENT = "chronicle"
PROMPT, COMPLETION = 100, 50
CALL_MICRODOLLARS = 45
"""100 tokens at 0.15 and 50 at 0.60 dollars a million."""
PATIENCE_S = 120
MAY_FAIL: tuple[Reason, ...] = ("model_error",)
TICKETS_WITHIN, TICKETS_BEYOND = 100, 500
KILLS = 2


def answered_microdollars(pipeline: Pipeline, since_ms: int) -> int:
    """By the model's own log; before that moment nobody asked for this agent."""
    log = (pipeline.stack.files.root / "log" / "model-calls.jsonl").read_text().splitlines()
    calls = [json.loads(line) for line in log]
    paid = [call for call in calls if call["outcome"] == "answered" and call["received_at_ms"] >= since_ms]
    assert {(call["prompt_tokens"], call["completion_tokens"]) for call in paid} == {(PROMPT, COMPLETION)}
    return len(paid) * CALL_MICRODOLLARS


def billed(pipeline: Pipeline) -> dict[str, Any]:
    """The one line of `headrace costs`; of a test that begins before midnight there may be two."""
    lines = pipeline.stack.json("costs", AGENT, "--json")
    return {name: sum(line[name] for line in lines) for name in ("calls", "usd", "unanswered_calls")}


@pytest.fixture(scope="module", autouse=True)
def began_ms(pipeline: Pipeline) -> Iterator[int]:
    """Since when all calls are the agent's, and of one price."""
    with ScriptedModel(pipeline.stack).behaving(
        latency_ms=100, tokens={"prompt": PROMPT, "completion": COMPLETION}
    ):
        yield time.time_ns() // 1_000_000


def test_costs_and_metrics_are_the_models_own_to_the_micro_dollar(pipeline: Pipeline, began_ms: int) -> None:
    pipeline.load.insert(TICKETS_WITHIN)
    pipeline.settle(PATIENCE_S)

    paid = answered_microdollars(pipeline, began_ms)
    assert paid >= TICKETS_WITHIN * CALL_MICRODOLLARS
    bill = billed(pipeline)
    assert round(bill["usd"] * 1e6) == paid
    assert (bill["calls"], bill["unanswered_calls"]) == (paid // CALL_MICRODOLLARS, 0)

    def shown() -> bool:
        return round(sum(figures(pipeline.stack, AGENT, "cost_microdollars").values())) == paid

    until("the metrics say the same", shown, PATIENCE_S)
    by_key = pipeline.stack.json("costs", AGENT, "--by-key", "--json")
    assert round(sum(line["usd"] for line in by_key) * 1e6) == paid
    assert len({line["key_hash"] for line in by_key}) > 1
    pipeline.verify()


def test_a_budget_is_not_exceeded_whatever_is_killed_and_events_past_it_are_dead_letters(
    pipeline: Pipeline, began_ms: int
) -> None:
    stack = pipeline.stack
    model = plan_of(stack, AGENT).model_dump(mode="json")["spec"]["model"]
    allowed = model["budget"]["agent"]["microdollars"]
    with pipeline.load.running(30):
        for victim in (WORKERS, TASKMANAGER):
            pipeline.decide_an_event(PATIENCE_S)
            before = victim.kill(stack.found)
            until(f"{victim.name} is back", lambda v=victim, b=before: v.is_back(stack.found, b), PATIENCE_S)  # type: ignore[misc]
    pipeline.load.insert(TICKETS_BEYOND)
    book = pipeline.verify(PATIENCE_S, may_fail=MAY_FAIL)

    letters = [record.headers["headrace.detail"] for record in book.agents[AGENT].dead_letters]
    assert letters
    assert all(b"budget" in detail for detail in letters)
    paid = answered_microdollars(pipeline, began_ms)
    assert paid <= allowed
    bill = billed(pipeline)
    # A kill takes what was lent to calls in flight, and what they cost is known to the model alone.
    in_flight = KILLS * model["max_concurrency"] * 2
    assert 0 <= paid - round(bill["usd"] * 1e6) <= in_flight * CALL_MICRODOLLARS
    most_of_a_call = 3 * CALL_MICRODOLLARS
    assert paid >= allowed - (in_flight + 2 * KILLS + 2) * most_of_a_call
