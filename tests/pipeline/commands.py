"""Commands to a running agent's shards, straight through its control topic, and what the shards report."""

from __future__ import annotations

import uuid
from typing import Any

from confluent_kafka import Producer

from headrace.plan.model import AgentPlan
from headrace_agents.control import Command, CommandKind, Report, control_key
from tests.pipeline.ledger import Topics
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

REPORT_TIMEOUT_S = 90


def command(
    stack: LiveStack,
    agent: str,
    kind: CommandKind,
    key: tuple[Any, ...] | None = None,
    timeout_s: float = REPORT_TIMEOUT_S,
) -> list[Report]:
    """Tell every shard, and wait until each has reported that it is done; returns all reports."""
    plan = plan_of(stack, agent)
    given = Command(id=uuid.uuid4().hex, kind=kind, key=key)
    send(stack, plan, given)
    topics = Topics(stack.bootstrap_servers, [plan.spec.outputs.reports])
    try:

        def reports() -> list[Report]:
            topics.drain()
            found = [
                Report.model_validate_json(r.value or b"") for r in topics.records[plan.spec.outputs.reports]
            ]
            return [report for report in found if report.command == given.id]

        def shards() -> set[int]:
            return {report.shard for report in reports() if report.done}

        wanted = set(range(plan.spec.shards))
        until(f"{kind} done by every shard", lambda: shards() == wanted, timeout_s, lambda: wanted - shards())
        return reports()
    finally:
        topics.close()


def send(stack: LiveStack, plan: AgentPlan, given: Command) -> None:
    """One record for each shard."""
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers})
    for shard in range(plan.spec.shards):
        producer.produce(plan.spec.feedback.control, value=given.encode(), key=control_key(shard))
    assert producer.flush(REPORT_TIMEOUT_S) == 0


def plan_of(stack: LiveStack, agent: str) -> AgentPlan:
    return next(plan for plan in stack.plan.agents if plan.name == agent)
