"""`headrace costs`, with topics in memory."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from headrace.commands.common import FAILED
from headrace.environment.units import DAY_MS
from headrace.local.topics import KeptRecord
from headrace.operations import costs as operation
from headrace.operations.costs import EPOCH, hash_of_key, today
from headrace_agents.chat import Usage
from headrace_agents.model.amounts import Amount
from headrace_agents.model.costs import Costs
from headrace_agents.records import Position
from headrace_agents.spec import KafkaSpec
from tests.unit.commands.conftest import run

TRIAGE, RISK = "support-triage", "order-risk"
MODEL = "scripted-triage"
DOLLAR = 10**12
"""In picodollars."""
READ: list[KeptRecord] = []
"""Of the topic that was read last."""
NOISY, QUIET = hash_of_key([7]), hash_of_key([8])


@pytest.fixture(autouse=True)
def topics(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[KeptRecord]]:
    """Two days of two agents, as workers write them."""
    kept: dict[str, list[KeptRecord]] = {f"{TRIAGE}.costs": [], f"{RISK}.costs": []}
    day = [(today() - EPOCH).days]

    def costs(agent: str) -> Costs:
        topic = kept[f"{agent}.costs"]
        return Costs(
            lambda key, value: topic.append(
                KeptRecord(Position("t", 0, len(topic)), day[0] * DAY_MS, key, value)
            ),
            lambda: day[0],
        )

    triage, risk = costs(TRIAGE), costs(RISK)
    triage.answered(MODEL, NOISY, Usage(100, 50), Amount(150, 2 * DOLLAR))
    triage.answered(MODEL, QUIET, Usage(10, 5), Amount(15, DOLLAR))
    triage.unanswered(MODEL, QUIET, Amount(1000, DOLLAR // 2))
    risk.answered(MODEL, NOISY, Usage(1, 1), Amount(2, 0))
    day[0] -= 10
    triage.answered(MODEL, QUIET, Usage(1, 1), Amount(2, 3 * DOLLAR))

    def read(_kafka: KafkaSpec, topic: str, since_ms: int) -> Any:
        READ.clear()
        for record in kept[topic]:
            if record.timestamp_ms >= since_ms:
                READ.append(record)
                yield record

    monkeypatch.setattr(operation, "read_topic", read)
    return kept


def bills(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("costs", *arguments, "--json").stdout)
    return found


def test_sums_are_by_agent_model_and_day_beside_the_budget() -> None:
    triage, risk = bills()
    assert (triage["agent"], triage["model"], triage["day"]) == (TRIAGE, MODEL, today().isoformat())
    assert (triage["calls"], triage["input_tokens"], triage["output_tokens"]) == (2, 110, 55)
    assert (triage["usd"], triage["unanswered_calls"], triage["unanswered_usd"]) == (3.0, 1, 0.5)
    assert (triage["budget_usd"], triage["budget_tokens"], triage["key_hash"]) == (100.0, None, None)
    assert (risk["agent"], risk["usd"]) == (RISK, 0)
    table = run("costs").stdout
    assert "3.5%" in table  # what was not answered counts
    assert "key" not in table


def test_earlier_days_are_shown_when_asked_for() -> None:
    days = [(each["agent"], each["day"]) for each in bills("--days", "20")]
    assert (TRIAGE, (today() - timedelta(days=10)).isoformat()) in days
    assert len(days) == 3


def test_records_of_earlier_days_are_not_read() -> None:
    bills(TRIAGE, "--days", "10")
    assert len(READ) == 3
    bills(TRIAGE, "--days", "11")
    assert len(READ) == 4


def test_by_key_the_dearest_is_first_and_known_by_its_hash_alone() -> None:
    found = bills(TRIAGE, "--by-key")
    assert [(each["key_hash"], each["usd"]) for each in found] == [(NOISY, 2.0), (QUIET, 1.0)]
    assert bills(TRIAGE, "--key", "customer_id=8") == [found[1]]
    assert len(bills(TRIAGE, "--by-key", "--limit", "1")) == 1


def test_a_key_is_one_of_an_agents() -> None:
    refused = run("costs", "--key", "customer_id=8")
    assert refused.exit_code == FAILED
    assert "--key needs the NAME" in refused.stderr


def test_where_nothing_was_spent_it_says_so(topics: dict[str, list[KeptRecord]]) -> None:
    for records in topics.values():
        records.clear()
    assert "no call of a model" in run("costs").stdout
