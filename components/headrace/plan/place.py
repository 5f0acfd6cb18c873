"""What a substrate decides of the parts that are alike on all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.environment.engines import Engine
from headrace.environment.units import MIB
from headrace.plan.because import Because, because
from headrace.plan.model import Ports
from headrace.plan.ports import LOOPBACK

SEGMENT_BYTES = 64 * MIB
OWN_DISK: Mapping[str, tuple[Any, str]] = {
    "segment.bytes": (
        SEGMENT_BYTES,
        f"{SEGMENT_BYTES // MIB} MiB, so that retention frees disk in small steps",
    )
}
"""Of topics on brokers whose disk is the stack's own."""


@dataclass(frozen=True)
class Place:
    """Where shared parts find each other, and how many copies of a record there are."""

    brokers: Because[str]
    flink_client: Because[dict[str, str]]
    """Properties of the jobs' Kafka clients (Java)."""
    journal_client: Because[dict[str, str]]
    """Properties of the journal's Kafka client (librdkafka)."""
    scripted_model: Because[str]
    collector: Because[str]
    """The stack's own receiver of OTLP; empty where it has none."""
    database: Mapping[Engine, Mapping[str, tuple[Any, str]]]
    """Of Debezium: where source databases are, by the engines that are captured here."""
    publication: tuple[str, str]
    """Debezium's ``publication.autocreate.mode``: who makes a source's publication."""
    takes_signals: Because[bool]
    """Whether a connector can be told to backfill while it runs."""
    slot_failover: tuple[bool, str]
    """Whether the source's standbys know the replication slot."""
    replication: Because[int]
    topic_settings: Mapping[str, tuple[Any, str]]
    """Of every topic, beside its own."""


def local_place(ports: Ports) -> Place:
    """Loopback, one broker, no login."""
    no_login: Because[dict[str, str]] = because(
        {}, "0 more: the local broker is loopback only, without TLS or login"
    )
    return Place(
        brokers=because(f"{LOOPBACK}:{ports.kafka}", f"the local broker, port {ports.kafka}"),
        flink_client=no_login,
        journal_client=no_login,
        scripted_model=because(
            f"http://{LOOPBACK}:{ports.scripted_model}/v1",
            f"the stack's scripted model, port {ports.scripted_model}",
        ),
        collector=because("", "0 collectors run on this machine"),
        database={
            "postgresql": {
                "database.hostname": (LOOPBACK, "the local database, loopback only"),
                "database.port": (ports.postgres, f"the local database's port, {ports.postgres}"),
            }
        },
        publication=("disabled", "the stack makes the publication and keeps it to the declared tables"),
        takes_signals=because(True, "a connector is told by 1 topic, which this machine's tools can write"),
        slot_failover=(False, "the local server has 0 standbys to fail over to"),
        replication=because(1, "the local broker is 1 process"),
        topic_settings=OWN_DISK,
    )
