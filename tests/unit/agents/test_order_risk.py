"""The second example agent: two tables in one memory, tools, a hold that is placed once, a reminder."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from headrace_agents import AgentError, ToolCall
from headrace_agents.agent import load
from headrace_agents.chat import ChatRequest
from headrace_agents.events import EventReader
from headrace_agents.model.connecting import connected
from headrace_agents.operator import memory_format
from headrace_agents.records import InputRecord, Position
from headrace_agents.runs import AgentRuns, RunRequest
from headrace_agents.scripted_model import Settings, serving
from headrace_agents.spec import ModelSpec
from headrace_agents.testing import DEFAULT_LIMITS, AgentTest, ScriptedAnswer, in_memory_spec
from order_risk.agent import Assessed, OrderMemory, OrderRisk, RiskAnswer, Unpaid
from order_risk.holds import place_hold

ORDERS, PAYMENTS = "public.orders", "public.payments"
HOUR = timedelta(hours=1)


def looks_first(request: ChatRequest) -> ScriptedAnswer:
    """Calls both tools at once; then says high where the payments say chargeback."""
    told = [message.content for message in request.messages if message.role == "tool"]
    if not told:
        return (ToolCall("1", "payment_history", "{}"), ToolCall("2", "country_rules", '{"country": "IR"}'))
    risky = "chargeback" in told[0]
    return RiskAnswer(risk="high" if risky else "low", reason=f"country watched: {'true' in told[1]}")


def order_risk(**settings: Any) -> AgentTest:
    return AgentTest(OrderRisk, key=("order_id",), model=looks_first, settings=settings)


@pytest.fixture
def agent() -> AgentTest:
    return order_risk()


def order(number: int = 5, **columns: Any) -> dict[str, Any]:
    row = {"order_id": number, "customer_id": 7, "amount": "99.90", "currency": "EUR", "country": "DE"}
    return {**row, "status": "open", **columns}


def payment(number: int = 1, **columns: Any) -> dict[str, Any]:
    return {"id": number, "order_id": 5, "amount": "99.90", "status": "paid", "method": "card", **columns}


def memory(agent: AgentTest) -> OrderMemory:
    found = agent.memory(order_id=5)
    assert isinstance(found, OrderMemory)
    return found


def test_an_order_is_judged_when_its_payment_has_come(agent: AgentTest) -> None:
    assert agent.create(ORDERS, order()).decisions == ()

    handled = agent.create(PAYMENTS, payment())

    assert handled.decisions == (
        Assessed(
            order_id=5,
            customer_id=7,
            amount=Decimal("99.90"),
            risk="low",
            reason="country watched: True",
            payments=1,
            hold=None,
        ),
    )
    assert handled.outcome.model_calls == 2


def test_a_payment_that_is_there_before_its_order_is_judged_with_it(agent: AgentTest) -> None:
    assert agent.create(PAYMENTS, payment()).decisions == ()

    (assessed,) = agent.create(ORDERS, order()).decisions

    assert isinstance(assessed, Assessed)
    assert (assessed.payments, assessed.customer_id) == (1, 7)


def test_a_change_without_a_new_payment_asks_no_model(agent: AgentTest) -> None:
    agent.create(ORDERS, order())
    agent.create(PAYMENTS, payment())

    again = agent.update(ORDERS, order(), order(status="packed"))

    assert (again.decisions, again.outcome.model_calls) == ((), 0)


def test_the_tools_know_the_order_s_payments_and_the_settings(agent: AgentTest) -> None:
    agent.create(ORDERS, order())
    agent.create(PAYMENTS, payment(1, status="failed"))
    agent.create(PAYMENTS, payment(2))

    told = [json.loads(m.content) for m in agent.requests[-1].messages if m.role == "tool"]

    assert [(each["id"], each["status"]) for each in told[0]] == [(1, "failed"), (2, "paid")]
    assert told[1] == {"country": "IR", "watched": True}


@pytest.mark.parametrize(
    ("columns", "settings", "risk"),
    [
        ({"amount": "5000.01"}, {}, "high"),
        ({"amount": "80"}, {"held_above": "79.99"}, "high"),
        ({"country": "IR"}, {}, "medium"),
        ({"country": "DE"}, {"watched_countries": ["DE"]}, "medium"),
    ],
)
def test_a_rule_raises_the_risk_above_the_model_s(
    columns: dict[str, Any], settings: dict[str, Any], risk: str
) -> None:
    agent = order_risk(**settings)
    agent.create(ORDERS, order(**columns))

    (assessed,) = agent.create(PAYMENTS, payment()).decisions

    assert isinstance(assessed, Assessed)
    assert assessed.risk == risk


def test_a_risky_order_is_held_once(tmp_path: Path) -> None:
    agent = order_risk(holds=str(tmp_path))
    agent.create(ORDERS, order())

    first, second = (
        agent.create(PAYMENTS, payment(number, method="chargeback")).decisions[0] for number in (1, 2)
    )

    (file,) = tmp_path.iterdir()
    hold = json.loads(file.read_text())
    assert (hold["order_id"], hold["reason"]) == (5, "country watched: True")
    assert isinstance(first, Assessed)
    assert isinstance(second, Assessed)
    assert first.hold == second.hold == hold["id"] == memory(agent).hold


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_wherever_the_worker_is_lost_one_hold_is_placed(tmp_path: Path, step: int) -> None:
    agent = order_risk(holds=str(tmp_path))
    agent.create(ORDERS, order())
    agent.crash_after(step)

    handled = agent.create(PAYMENTS, payment(method="chargeback"))

    assert len(list(tmp_path.iterdir())) == 1
    assert [type(decision) for decision in handled.decisions] == [Assessed]


def test_a_hold_is_placed_once_for_a_key_whoever_places_it(tmp_path: Path) -> None:
    async def twice() -> None:
        first, second = await asyncio.gather(
            place_hold(tmp_path, 5, "one", idempotency_key="k"),
            place_hold(tmp_path, 5, "other", idempotency_key="k"),
        )
        assert first == second

    asyncio.run(twice())

    assert [file.name for file in tmp_path.iterdir()] == ["k.json"]


def test_an_order_that_nobody_pays_within_the_hour_is_unpaid(agent: AgentTest) -> None:
    agent.create(ORDERS, order())
    agent.create(PAYMENTS, payment(status="failed"))

    assert agent.advance(HOUR - timedelta(seconds=1)) == []
    (handled,) = agent.advance(timedelta(seconds=2))

    assert handled.decisions == (Unpaid(order_id=5, customer_id=7, amount=Decimal("99.90"), attempts=1),)
    assert agent.advance(10 * HOUR) == []


@pytest.mark.parametrize("what", ["paid", "cancelled", "deleted"])
def test_an_order_that_nobody_has_to_pay_any_more_is_not_unpaid(agent: AgentTest, what: str) -> None:
    agent.create(ORDERS, order())
    if what == "paid":
        agent.create(PAYMENTS, payment())
    elif what == "cancelled":
        agent.update(ORDERS, order(), order(status="cancelled"))
    else:
        agent.delete(ORDERS, order())

    (handled,) = agent.advance(HOUR)

    assert (handled.decisions, handled.outcome.status) == ((), "decided")


def test_the_time_to_pay_is_a_setting_and_counts_once() -> None:
    agent = order_risk(payment_within_minutes=5)
    agent.create(ORDERS, order())
    agent.update(ORDERS, order(), order(status="confirmed"))

    assert len(agent.advance(timedelta(minutes=6))) == 1


def test_a_payment_that_is_taken_back_does_not_count(agent: AgentTest) -> None:
    agent.create(ORDERS, order())
    agent.create(PAYMENTS, payment())
    agent.delete(PAYMENTS, payment())

    (handled,) = agent.advance(HOUR)

    assert [type(decision) for decision in handled.decisions] == [Unpaid]


def test_a_cancelled_order_is_not_judged(agent: AgentTest) -> None:
    agent.create(ORDERS, order(status="cancelled"))

    assert agent.create(PAYMENTS, payment()).outcome.model_calls == 0


def test_the_scripted_model_calls_both_tools_and_answers(tmp_path: Path) -> None:
    """The agent's class as the job loads it, the client, HTTP and the model of the local stack."""
    loaded = load("order_risk.agent:OrderRisk", {"held_above": "50"})
    spec = in_memory_spec(loaded, ("order_id",), DEFAULT_LIMITS)
    known = OrderMemory.model_validate({"order": order()})
    stored = memory_format(spec, loaded).write(known, None, 0)
    source = {"schema": "public", "table": "payments", "ts_ms": 5}
    envelope = {"before": None, "after": payment(), "source": source, "op": "c"}
    key = b'{"order_id":5}'
    event = InputRecord(Position(PAYMENTS, 0, 0), 1, key, json.dumps(envelope).encode())
    work = EventReader(spec, loaded).read(event).work
    assert work is not None
    request = RunRequest(0, b"[5]", key, event.position, event.position, 5, 1, work, stored)
    runs = AgentRuns(spec, loaded, memory_format(spec, loaded), clock=lambda: 1)

    async def run() -> None:
        async with serving(Settings(), tmp_path / "calls.jsonl") as url:
            model = connected(
                ModelSpec(
                    endpoint=url, name="scripted-triage", timeout_ms=5_000, max_attempts=1, max_concurrency=1
                )
            )
            try:
                attempt = runs.attempt(request)
                result = await runs.run(request, attempt, model)
            finally:
                await model.close()
        assert result.rejected is None
        names = [entry.name for entry in attempt.steps.finished]
        assert names == ["model", "tool:payment_history", "model", "tool:country_rules", "model", "hold"]
        (decision,) = result.decisions
        assert (decision.kind, decision.decision["risk"]) == ("Assessed", "high")
        assert decision.decision["reason"].startswith("words: ")

    asyncio.run(run())


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(AgentError, match="held_abov"):
        order_risk(held_abov=3)


def test_a_hold_without_a_folder_is_in_the_decision_only() -> None:
    hold = asyncio.run(place_hold(None, 5, "why", idempotency_key="k"))

    assert (hold.id, hold.order_id, hold.reason) == ("k", 5, "why")


def test_the_model_is_asked_once_more_after_a_crash_but_no_tool_is_called_again(agent: AgentTest) -> None:
    agent.create(ORDERS, order())
    agent.crash_after(3)

    handled = agent.create(PAYMENTS, payment())

    assert len(agent.requests) == 3
    assert handled.outcome.model_calls == 2
