"""One program in one scenario, once: figures of what it did."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

from headrace.plan.state import state_bytes
from headrace_agents.spec import AgentJobSpec
from tests.bench.agents.cluster import Cluster, cores, now_ms
from tests.bench.agents.contestants import running
from tests.bench.agents.scenarios import Checkpoints, Latency, State, Throughput
from tests.bench.agents.traffic import Kafka
from tests.pipeline.waiting import until

FIRST_TIMEOUT_S = 120
FULL_TIMEOUT_S = 90
STATE_TIMEOUT_S = 600
COMMIT_PATIENCE_S = 4
"""Exactly-once decisions are visible a checkpoint later."""
POLL_S = 0.5
SHORTEST_WINDOW_S = 3


def throughput(
    cluster: Cluster, kafka: Kafka, program: str, spec: AgentJobSpec, scenario: Throughput
) -> dict[str, Any]:
    """Decisions a second while there is a backlog, and what they cost."""
    with running(program, cluster, spec) as job:
        until("the first decision", lambda: kafka.count(spec.outputs.decisions), FIRST_TIMEOUT_S)
        time.sleep(scenario.warm_up_s)
        before, started_ms = cluster.processor_seconds(), now_ms()
        known = set(cluster.checkpoints(job)) if job else set()
        time.sleep(scenario.window_s)
        after, ended_ms = cluster.processor_seconds(), now_ms()
        ended = cluster.checkpoints(job) if job else {}
        time.sleep(COMMIT_PATIENCE_S)
    produced = kafka.produced_at_ms(spec.outputs.decisions)
    _no_dead_letters(kafka, spec)
    seconds = (ended_ms - started_ms) / 1000
    if not produced:
        raise SystemExit(f"{program}: no decision")
    # Where the backlog ends earlier, so does the rate.
    until_ms = min(ended_ms, max(produced))
    if until_ms - started_ms < SHORTEST_WINDOW_S * 1000:
        # All of it was worked off in the warm-up, or nearly: the rate is that of the whole.
        started_ms, until_ms = min(produced), max(produced) + 1
    durations = [c["end_to_end_duration"] for number, c in ended.items() if number not in known]
    return {
        "per_second": sum(started_ms <= at < until_ms for at in produced) / (until_ms - started_ms) * 1000,
        "cores": cores(before, after, seconds),
        "checkpoint_ms": _quantiles(durations) if durations else None,
    }


def latency(
    cluster: Cluster, kafka: Kafka, program: str, spec: AgentJobSpec, scenario: Latency
) -> dict[str, Any]:
    """What the program adds: event in Kafka to model called, model answered to decision produced."""
    (topic,) = spec.inputs
    with running(program, cluster, spec), kafka.sending(topic.topic, scenario.per_second):
        until("the first decision", lambda: kafka.count(spec.outputs.decisions), FIRST_TIMEOUT_S)
        time.sleep(scenario.warm_up_s)
        before, started_ms = cluster.processor_seconds(), now_ms()
        time.sleep(scenario.window_s)
        after, ended_ms = cluster.processor_seconds(), now_ms()
        time.sleep(COMMIT_PATIENCE_S)
    _no_dead_letters(kafka, spec)
    found = [d for d in kafka.decisions(spec.outputs.decisions) if started_ms <= d.sent_at_ms < ended_ms]
    wanted = scenario.per_second * scenario.window_s
    if len(found) < 0.9 * wanted:
        raise SystemExit(f"{program} decided {len(found)} of {wanted} events in time")
    into = [d.asked_at_ms - d.sent_at_ms for d in found]
    out = [d.produced_at_ms - d.answered_at_ms for d in found]
    return {
        "in_ms": _quantiles(into),
        "model_ms": _quantiles([d.answered_at_ms - d.asked_at_ms for d in found]),
        "out_ms": _quantiles(out),
        "added_ms": _quantiles([a + b for a, b in zip(into, out, strict=True)]),
        "cores": cores(before, after, (ended_ms - started_ms) / 1000),
    }


def checkpoints(
    cluster: Cluster, kafka: Kafka, program: str, spec: AgentJobSpec, scenario: Checkpoints
) -> dict[str, Any]:
    """How long checkpoints took, end to end, while the runs were in flight."""
    (topic,) = spec.inputs
    cluster.forget_calls()
    with running(program, cluster, spec) as job, kafka.sending(topic.topic, scenario.per_second):
        assert job is not None
        in_flight: list[int] = []
        until("calls in flight", lambda: _full(cluster, scenario), FULL_TIMEOUT_S)
        if not scenario.full_at:
            time.sleep(5)
        known = set(cluster.checkpoints(job))
        found: dict[int, dict[str, Any]] = {}
        deadline = time.monotonic() + scenario.longest_s
        while len(found) < scenario.checkpoints and time.monotonic() < deadline:
            time.sleep(POLL_S)
            in_flight.append(cluster.calls_in_flight())
            ended = cluster.checkpoints(job)
            found |= {number: c for number, c in ended.items() if number not in known}
    durations = [c["end_to_end_duration"] for c in found.values() if c["status"] == "COMPLETED"]
    return {
        "checkpoint_ms": _quantiles(durations),
        "completed": len(durations),
        "failed": len(found) - len(durations),
        "calls_in_flight": {"least": min(in_flight), "most": max(in_flight)},
        "stored_bytes": statistics.median(c["state_size"] for c in found.values()),
    }


def state(
    cluster: Cluster, kafka: Kafka, program: str, spec: AgentJobSpec, scenario: State
) -> dict[str, Any]:
    """Bytes in a checkpoint and in a savepoint once every key is remembered, and those that were planned."""
    with running(program, cluster, spec) as job:
        assert job is not None
        decided = lambda: kafka.count(spec.outputs.decisions) >= scenario.keys  # noqa: E731  (markers count)
        until("a decision of every key", decided, STATE_TIMEOUT_S)
        until("the last ones", lambda: _decisions(kafka, spec) >= scenario.keys, FIRST_TIMEOUT_S)
        last = max(cluster.checkpoints(job))
        later = lambda: max(cluster.checkpoints(job)) > last + 1  # noqa: E731
        until("a checkpoint from after that", later, FIRST_TIMEOUT_S)
        found = cluster.checkpoints(job)
        checkpoint = found[max(found)]["state_size"]
        savepoint = cluster.savepoint_bytes(job)
    _no_dead_letters(kafka, spec)
    workload = cluster.declared.workload.model_copy(
        update={"keys": scenario.keys, "state_bytes_per_key": scenario.bytes_per_key}
    )
    planned = state_bytes(cluster.declared.model_copy(update={"workload": workload}))
    return {
        "planned_bytes": planned,
        "checkpoint_bytes": checkpoint,
        "savepoint_bytes": savepoint,
        "checkpoint_to_planned": checkpoint / planned,
        "savepoint_to_planned": savepoint / planned,
    }


def _decisions(kafka: Kafka, spec: AgentJobSpec) -> int:
    return len(kafka.produced_at_ms(spec.outputs.decisions))


def _full(cluster: Cluster, scenario: Checkpoints) -> bool:
    return cluster.calls_in_flight() >= scenario.full_at


def _no_dead_letters(kafka: Kafka, spec: AgentJobSpec) -> None:
    if dead := kafka.count(spec.outputs.dead_letters):
        raise SystemExit(f"{spec.name}: {dead} dead letters: what was decided is not what was to be measured")


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    if len(values) < 2:
        only = float(values[0])
        return {"p50": only, "p99": only, "max": only}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": cuts[49], "p99": cuts[98], "max": max(values)}
