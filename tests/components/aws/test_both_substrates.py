"""One declaration gives the same Flink, topics, connectors and jobs here and on AWS, but for listed keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from headrace.plan import plan
from headrace.plan.model import StackPlan
from tests.components.aws.cloud import inputs
from tests.components.aws.managed import ENVIRONMENTS, shipped, stack_of
from tests.unit.environment.declarations import parsed
from tests.unit.environment.declarations import shipped as on_this_machine
from tests.unit.plan.substrate_options import (
    OF_JOBS,
    OF_THE_BUCKETS,
    OF_THE_IMAGE,
    different,
    is_of_a_substrate,
)

OF_TOPICS = {
    # Copies: there is one broker here. Express brokers fix the second, and take no size of segments.
    "replication_factor",
    "min.insync.replicas",
    "segment.bytes",
}
OF_CONNECTORS = {
    # The address, the password's reference, TLS, who makes the publication, and a standby that AWS has.
    "database.hostname",
    "database.port",
    "database.password",
    "database.sslmode",
    "publication.autocreate.mode",
    "slot.failover",
}
OF_SIGNALS = {
    # What tells a connector to backfill, and how far it is: there is none on AWS yet.
    "incremental.snapshot.chunk.size",
    "notification.enabled.channels",
    "notification.sink.topic.name",
    "read.only",
    "signal.enabled.channels",
    "signal.kafka.bootstrap.servers",
    "signal.kafka.groupId",
    "signal.kafka.topic",
    "signal.poll.interval.ms",
}
both = pytest.mark.parametrize("environment", ENVIRONMENTS)


def here(environment: str) -> StackPlan:
    """What the environment would be on this machine."""
    substrate = parsed(on_this_machine()).substrate
    return plan(shipped(environment).model_copy(update={"substrate": substrate}))


def deployment(environment: str, agent: str) -> dict[str, Any]:
    kind = "kubernetes:flink.apache.org/v1beta1:FlinkDeployment"
    found: dict[str, Any] = inputs(stack_of(environment), kind, f"{environment}-{agent}")["spec"]
    return found


def differing(one: Mapping[str, Any], other: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key in one.keys() | other.keys():
        first, second = one.get(key), other.get(key)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            yield from differing(first, second, f"{path}{key}.")
        elif first != second:
            yield f"{path}{key}"


@both
def test_flink_is_configured_alike(environment: str) -> None:
    places = {option for option in OF_THE_BUCKETS | OF_THE_IMAGE if not is_of_a_substrate(option)}
    local = here(environment)
    for agent in local.agents:
        there = deployment(environment, agent.name)["flinkConfiguration"]
        assert set(different(there, local.flink.configuration | agent.spec.flink_configuration)) == places


@both
def test_topics_are_alike(environment: str) -> None:
    found: set[str] = set()
    made = here(environment)
    of_signals = {topic for each in made.sources for topic in (each.signals_topic, each.notifications_topic)}
    for topic in made.topics:
        if topic.name in of_signals:
            continue
        there = inputs(stack_of(environment), "aws:msk/topic:Topic", f"{environment}-{topic.name}")
        assert there["partitionCount"] == topic.partitions
        config = json.loads(there["configs"]) | {"replication_factor": there["replicationFactor"]}
        found |= set(differing(config, topic.config | {"replication_factor": topic.replication}))
    assert found <= OF_TOPICS
    assert found


@both
def test_connectors_are_alike(environment: str) -> None:
    for source in here(environment).sources:
        kind = "aws:mskconnect/connector:Connector"
        there = inputs(stack_of(environment), kind, f"{environment}-{source.name}")
        assert there["name"] == source.connector
        assert set(differing(there["connectorConfiguration"], source.connector_config)) == (
            OF_CONNECTORS | OF_SIGNALS
        )


@both
def test_jobs_are_told_alike(environment: str) -> None:
    for agent in here(environment).agents:
        pod = deployment(environment, agent.name)["jobManager"]["podTemplate"]
        there = json.loads(pod["metadata"]["annotations"]["headrace.dev/job"])
        assert set(differing(there, json.loads(agent.spec.model_dump_json()))) == OF_JOBS
