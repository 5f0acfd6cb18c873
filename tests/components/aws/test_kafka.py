"""Kafka: closed to all but IAM on TLS, as the plan says, and its records stay."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from headrace.aws import Kafka, KafkaArgs
from headrace.errors import HeadraceError
from tests.components.aws.cloud import TAGS, arn, assert_house_rules, built, inputs, kinds
from tests.components.aws.planned import planned
from tests.components.recording import Registered

EXPRESS, STANDARD = planned(kafka="express"), planned(kafka="standard")
PLANS = {"express": EXPRESS, "standard": STANDARD}
CLUSTER, TOPIC = "aws:msk/cluster:Cluster", "aws:msk/topic:Topic"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
FIRST = EXPRESS.topics[0].name
STORAGE = "a size for standard ones, none for express ones"
each_kind = pytest.mark.parametrize("kind", PLANS)


def arguments(kind: str, **changed: Any) -> KafkaArgs:
    args: dict[str, Any] = {
        "brokers": PLANS[kind].kafka,
        "topics": PLANS[kind].topics,
        "vpc_id": "vpc-1",
        "subnet_ids": ["subnet-a", "subnet-b", "subnet-c"],
        "protect": True,
        "log_days": 30,
        "tags": TAGS,
    }
    return KafkaArgs(**args | changed)


def kafka(kind: str, name: str = "dev", **changed: Any) -> Registered:
    return built(lambda: Kafka(name, arguments(kind, **changed)))


@each_kind
def test_exactly_these_resources(kind: str) -> None:
    stack, plan = kafka(kind), PLANS[kind]
    standard = plan.kafka.brokers if kind == "standard" else 0
    expected = Counter(
        {
            "headrace:aws:Kafka": 1,
            "headrace:aws:KafkaAlarms": 1,
            "aws:ec2/securityGroup:SecurityGroup": 2,
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": 1,
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": 1,
            "aws:kms/key:Key": 1,
            "aws:kms/alias:Alias": 1,
            "aws:cloudwatch/logGroup:LogGroup": 1,
            "aws:msk/configuration:Configuration": 1,
            CLUSTER: 1,
            TOPIC: len(plan.topics),
            ALARM: 1 + 2 * standard,
            "aws:appautoscaling/target:Target": 1,
            "aws:appautoscaling/policy:Policy": 1,
        }
    )
    if kind == "express":
        del expected["aws:appautoscaling/target:Target"], expected["aws:appautoscaling/policy:Policy"]
    assert kinds(stack) == expected
    assert_house_rules(stack, "dev")


@each_kind
def test_only_iam_on_tls_gets_in(kind: str) -> None:
    made = inputs(kafka(kind), CLUSTER, "dev-kafka")
    assert made["clientAuthentication"] == {
        "sasl": {"iam": True, "scram": False},
        "unauthenticated": False,
    }
    assert made["encryptionInfo"] == {
        "encryptionAtRestKmsKeyArn": arn("aws:kms/key:Key", "dev-kafka"),
        "encryptionInTransit": {"clientBroker": "TLS", "inCluster": True},
    }
    assert made["brokerNodeGroupInfo"]["connectivityInfo"] == {"publicAccess": {"type": "DISABLED"}}


def test_only_clients_of_the_stack_get_to_the_brokers() -> None:
    stack = kafka("express")
    way_in = inputs(stack, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "dev-kafka")
    way_out = inputs(stack, "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "dev-kafka-clients")
    assert (way_in["securityGroupId"], way_in["referencedSecurityGroupId"]) == (
        "dev-kafka",
        "dev-kafka-clients",
    )
    assert (way_out["securityGroupId"], way_out["referencedSecurityGroupId"]) == (
        "dev-kafka-clients",
        "dev-kafka",
    )
    for rule in (way_in, way_out):
        assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 9098, 9098)
        assert "cidrIpv4" not in rule
    assert inputs(stack, CLUSTER, "dev-kafka")["brokerNodeGroupInfo"]["securityGroups"] == ["dev-kafka"]


@each_kind
def test_the_cluster_is_as_the_plan_says(kind: str) -> None:
    stack, plan = kafka(kind), PLANS[kind].kafka
    made = inputs(stack, CLUSTER, "dev-kafka")
    nodes = made["brokerNodeGroupInfo"]
    assert (nodes["instanceType"], made["numberOfBrokerNodes"]) == (plan.instance_type, plan.brokers)
    storage = {"ebsStorageInfo": {"volumeSize": plan.storage_gib}} if plan.storage_gib else None
    assert nodes.get("storageInfo") == storage
    told = inputs(stack, "aws:msk/configuration:Configuration", "dev-kafka")
    lines = dict(line.split("=", 1) for line in told["serverProperties"].splitlines())
    assert lines == plan.configuration
    assert made["configurationInfo"] == {
        "arn": arn("aws:msk/configuration:Configuration", "dev-kafka"),
        "revision": 1,
    }
    assert told["kafkaVersions"] == [made["kafkaVersion"]]


@each_kind
def test_topics_are_as_the_plan_says_and_wait_for_the_brokers(kind: str) -> None:
    stack, plan = kafka(kind), PLANS[kind]
    for topic in plan.topics:
        made = inputs(stack, TOPIC, f"dev-{topic.name}")
        assert made["name"] == topic.name
        assert (made["partitionCount"], made["replicationFactor"]) == (topic.partitions, topic.replication)
        assert json.loads(made["configs"]) == topic.config
        assert made["clusterArn"] == arn(CLUSTER, "dev-kafka")
        assert stack[f"{TOPIC} dev-{topic.name}"]["depends_on"] == ["dev-kafka"]


@pytest.mark.parametrize("protect", [True, False])
def test_records_and_their_key_go_only_when_they_are_not_protected(protect: bool) -> None:
    stack = kafka("standard", protect=protect)
    protected = {key.split()[0] for key, found in stack.items() if found.get("protected")}
    assert protected == ({CLUSTER, TOPIC, "aws:kms/key:Key"} if protect else set())
    assert all(found.get("protected") for key, found in stack.items() if key.split()[0] in protected)


def test_it_can_be_seen_what_brokers_do() -> None:
    stack = kafka("express", log_days=7)
    made = inputs(stack, CLUSTER, "dev-kafka")
    assert made["enhancedMonitoring"] == "PER_TOPIC_PER_BROKER"
    assert made["loggingInfo"] == {
        "brokerLogs": {"cloudwatchLogs": {"enabled": True, "logGroup": "dev-kafka"}}
    }
    assert made["openMonitoring"]["prometheus"]["jmxExporter"] == {"enabledInBroker": True}
    assert inputs(stack, "aws:cloudwatch/logGroup:LogGroup", "dev-kafka")["retentionInDays"] == 7


def test_disks_grow_and_never_shrink() -> None:
    stack = kafka("standard")
    target = inputs(stack, "aws:appautoscaling/target:Target", "dev-kafka-storage")
    assert (target["minCapacity"], target["maxCapacity"]) == (1, 16_384)
    policy = inputs(stack, "aws:appautoscaling/policy:Policy", "dev-kafka-storage")
    tracking = policy["targetTrackingScalingPolicyConfiguration"]
    assert (tracking["targetValue"], tracking["disableScaleIn"]) == (60, True)
    ignored = stack[f"{CLUSTER} dev-kafka"]["ignored"]
    assert ignored == ["brokerNodeGroupInfo.storageInfo.ebsStorageInfo.volumeSize"]


@pytest.mark.parametrize("receiver", [None, "arn:aws:sns:eu-central-1:111122223333:alarms"])
def test_alarms_of_a_standard_broker_and_of_the_cluster_reach_who_is_named(receiver: str | None) -> None:
    stack = kafka("standard", alarm_topic_arn=receiver)
    alarms = {key.split()[1]: found["inputs"] for key, found in stack.items() if key.startswith(ALARM)}
    assert alarms.keys() == {"dev-kafka-offline"} | {
        f"dev-kafka-{what}-{at}" for what in ("under-min-isr", "disk") for at in (1, 2, 3)
    }
    for name, alarm in alarms.items():
        assert alarm["alarmActions"] == alarm["okActions"] == ([receiver] if receiver else [])
        assert alarm["dimensions"]["Cluster Name"] == "dev-kafka"
        broker = name.rpartition("-")[2]
        assert alarm["dimensions"].get("Broker ID") == (broker if broker.isdigit() else None)
        assert alarm["threshold"] == (85 if "disk" in name else 0)


def test_names_of_long_environments_fit() -> None:
    stack = kafka("express", "a" * 63)
    for key in stack:
        if key.startswith((f"{CLUSTER} ", "aws:msk/configuration:Configuration ")):
            assert len(key.split()[1]) <= 64 - 8


@pytest.mark.parametrize(
    ("kind", "changed", "message"),
    [
        (
            "express",
            {"brokers": EXPRESS.kafka.model_copy(update={"storage_gib": 100})},
            f"kafka: given 100 GiB for express brokers; allowed: {STORAGE}",
        ),
        (
            "standard",
            {"brokers": STANDARD.kafka.model_copy(update={"storage_gib": None})},
            f"kafka: given no GiB for standard brokers; allowed: {STORAGE}",
        ),
        (
            "express",
            {"subnet_ids": ["subnet-a", "subnet-b"]},
            "kafka: given 3 brokers for 2 subnets; allowed: as many in each",
        ),
        (
            "express",
            {"subnet_ids": []},
            "kafka: given 3 brokers for 0 subnets; allowed: as many in each",
        ),
        (
            "express",
            {"topics": [EXPRESS.topics[0], EXPRESS.topics[0]]},
            f"kafka: given topic {FIRST} more than once; allowed: each name once",
        ),
        (
            "express",
            {"topics": [EXPRESS.topics[0].model_copy(update={"replication": 4})]},
            f"kafka: given 4 copies of topic {FIRST}; allowed: at most one for each of 3 brokers",
        ),
    ],
)
def test_refused(kind: str, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        arguments(kind, **changed)
    assert str(refused.value) == message
