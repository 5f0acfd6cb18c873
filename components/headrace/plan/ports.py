"""Loopback ports: one contiguous range from ``port_base``."""

from __future__ import annotations

from headrace.environment.substrates import PORTS_PER_STACK, LocalSubstrate
from headrace.plan.because import Because, because, build
from headrace.plan.model import Ports

LOOPBACK = "127.0.0.1"

SINGLE = {
    "postgres": "clients and Debezium",
    "kafka": "clients",
    "kafka_controller": "the KRaft controller",
    "connect": "the REST interface of Kafka Connect",
    "object_store": "S3Proxy",
    "zookeeper": "Flink's leader election",
    "flink_rest": "Flink's web page and REST interface",
    "flink_rpc": "the JobManager's RPC",
    "flink_blob": "the JobManager's files for TaskManagers",
    "jobmanager_metrics": "Prometheus to read the JobManager",
    "scripted_model": "the scripted model",
    "prometheus": "Prometheus' own page",
    "capture_metrics": "Prometheus to read how sources are captured",
}
"""One port each, in this order, so that a stack's ports stay the same when TaskManagers are added."""
PER_TASKMANAGER = {
    "taskmanager_rpc": "RPC",
    "taskmanager_data": "records between TaskManagers",
    "taskmanager_metrics": "Prometheus",
}


def ports(substrate: LocalSubstrate, taskmanagers: int) -> Because[Ports]:
    """Every port of the stack; the count depends on the most TaskManagers that there may be alone."""
    base, count = substrate.port_base, taskmanagers
    fields: dict[str, Because[int] | Because[tuple[int, ...]]] = {}
    for at, (name, use) in enumerate(SINGLE.items()):
        fields[name] = because(base + at, f"port_base {base} + {at}, for {use}")
    first = base + len(SINGLE)
    for place, (name, use) in enumerate(PER_TASKMANAGER.items()):
        step = len(PER_TASKMANAGER)
        used = tuple(first + step * taskmanager + place for taskmanager in range(count))
        fields[name] = because(
            used,
            f"{count} TaskManagers with {step} ports each from {first}, this one for {use}; "
            f"all within the {PORTS_PER_STACK} ports of the stack",
        )
    return build(Ports, **fields)
