"""More of what costs is never planned with less, and a tighter objective never with a longer wait."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.environment import Duration, Environment
from headrace.environment.model import Agent
from headrace.plan import plan
from tests.unit.environment.declarations import environments

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
some_part = st.floats(0.0, 1.0)


def changed(environment: Environment, part: str, **fields: Any) -> Environment:
    return environment.model_copy(update={part: getattr(environment, part).model_copy(update=fields)})


def with_first_workload(environment: Environment, **fields: Any) -> Environment:
    first, *others = environment.agents
    workload = first.workload.model_copy(update=fields)
    agents: tuple[Agent, ...] = (first.model_copy(update={"workload": workload}), *others)
    return environment.model_copy(update={"agents": agents})


@quick
@given(environments(), st.integers(0, 10**9), st.integers(0, 10**7))
def test_more_state_never_has_less_memory(environment: Environment, keys: int, size: int) -> None:
    workload = environment.agents[0].workload
    more = with_first_workload(
        environment,
        keys=workload.keys + keys,
        state_bytes_per_key=workload.state_bytes_per_key + size,
    )
    less, made = plan(environment), plan(more)
    assert made.flink.taskmanager.managed_mib >= less.flink.taskmanager.managed_mib
    assert made.flink.taskmanager.rocksdb_slot_mib >= less.flink.taskmanager.rocksdb_slot_mib
    assert made.flink.taskmanager.process_mib >= less.flink.taskmanager.process_mib
    assert made.agents[0].state_bytes >= less.agents[0].state_bytes


@quick
@given(environments(), some_part)
def test_a_tighter_replay_never_has_a_longer_interval(environment: Environment, part: float) -> None:
    free = changed(environment, "checkpoints", interval=None)
    tight_ms = max(1_000, int(environment.recovery.max_replay.milliseconds * part))
    tighter = changed(free, "recovery", max_replay=Duration(tight_ms))
    assert plan(tighter).flink.checkpoints.interval_ms <= plan(free).flink.checkpoints.interval_ms


@quick
@given(environments(), some_part)
def test_a_tighter_recovery_never_has_a_longer_wait(environment: Environment, part: float) -> None:
    tight_ms = max(30_000, int(environment.recovery.max_recovery.milliseconds * part))
    tighter = plan(changed(environment, "recovery", max_recovery=Duration(tight_ms)))
    times, before = tighter.flink.failover, plan(environment).flink.failover
    for name in type(times).model_fields:
        assert getattr(times, name) <= getattr(before, name), name
    assert times.heartbeat_interval_ms < times.heartbeat_timeout_ms < tight_ms


@quick
@given(environments(), some_part)
def test_a_shorter_outage_never_tolerates_more(environment: Environment, part: float) -> None:
    short_ms = max(60_000, int(environment.recovery.max_outage.milliseconds * part))
    shorter = plan(changed(environment, "recovery", max_outage=Duration(short_ms)))
    before = plan(environment)
    assert shorter.flink.checkpoints.tolerable_failures <= before.flink.checkpoints.tolerable_failures
    for one, other in zip(shorter.agents, before.agents, strict=True):
        assert one.spec.kafka.transaction_timeout_ms <= other.spec.kafka.transaction_timeout_ms
    for topic, other_topic in zip(shorter.topics, before.topics, strict=True):
        assert int(topic.config["retention.ms"]) <= int(other_topic.config["retention.ms"])


@quick
@given(environments())
def test_calls_in_flight_cover_the_load(environment: Environment) -> None:
    for agent in plan(environment).agents:
        assert agent.model_calls_in_flight >= agent.model_calls_needed
