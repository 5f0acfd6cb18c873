"""Kafka topics: copies of what they carry."""

from __future__ import annotations

from collections.abc import Iterator

from headrace_policies.msk import CLUSTER as MSK_CLUSTER
from headrace_policies.remedies import changed
from headrace_policies.rule import Declared, Option, Rule
from headrace_policies.stacks import Case

MSK_TOPIC = "aws:msk/topic:Topic"
KAFKA_TOPIC = "kafka:index/topic:Topic"
MIN_IN_SYNC = "min.insync.replicas"

GOOD_TOPIC = {
    "name": "orders.decisions",
    "partitionCount": 12,
    "replicationFactor": 3,
    "configs": f'{{"{MIN_IN_SYNC}": "2"}}',
}


def _copies(case: Case) -> Iterator[str]:
    if case.at("name").text in case.config["topicsWithoutData"]:
        return
    replication = case.at("replicationFactor")
    if (replication.number or 0) < case.config["replication"]:
        yield replication.fault(f"it has to be at least {case.config['replication']:g}")
    settings = case.at("configs" if case.resource.kind == MSK_TOPIC else "config").document
    in_sync = settings.at(MIN_IN_SYNC)
    if not in_sync.is_set and _on_express_brokers(case):
        return
    if (in_sync.number or 0) < case.config["inSync"]:
        yield in_sync.fault(
            f"it has to be at least {case.config['inSync']:g}, or one broker can lose what was acknowledged"
        )


def _on_express_brokers(case: Case) -> bool:
    """They fix the copies in sync at 2, and refuse to be told."""
    clusters = case.referred(MSK_CLUSTER, "clusterArn") if case.resource.kind == MSK_TOPIC else []
    kinds = [cluster.at("brokerNodeGroupInfo", "instanceType").text for cluster in clusters]
    return bool(kinds) and all(kind.startswith("express.") for kind in kinds)


RULES = (
    Rule(
        id="HR-KAFKA-1",
        title="A topic that carries data has three copies, two of them in sync",
        severity="high",
        governs=(MSK_TOPIC, KAFKA_TOPIC),
        relates=(MSK_CLUSTER,),
        decides=("replicationFactor",),
        absent_is_fault=True,
        why="With fewer, the loss of one broker loses records, or stops producers that ask for all copies. "
        "Express brokers of MSK fix the second at 2 and refuse to be told: there it is left out.",
        fix="Set `replicationFactor` to 3 and min.insync.replicas to 2. No remediation: the "
        "replication of a topic that "
        "is there is changed by moving its partitions.",
        judge=_copies,
        options={
            "replication": Option({"type": "number", "minimum": 1}, 3),
            "inSync": Option({"type": "number", "minimum": 1}, 2),
            "topicsWithoutData": Option({"type": "array", "items": {"type": "string"}}, ()),
        },
        fails=(Declared(MSK_TOPIC, changed(GOOD_TOPIC, ("replicationFactor",), 1)),),
        passes=(Declared(MSK_TOPIC, GOOD_TOPIC),),
    ),
)
