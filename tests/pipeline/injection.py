"""Records that a test puts onto a topic itself, and how Debezium would have written them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Producer

from headrace_agents.records import Position

INJECTED = "headrace.test.injected"
"""Header of records that a test put onto an input topic itself: no change of the load."""
FLUSH_TIMEOUT_S = 60
MAX_MESSAGE_BYTES = 8 * 1024 * 1024

KeyAndValue = tuple[bytes | None, bytes | None]


def created(table: str, row: Mapping[str, Any]) -> bytes:
    """A row's insert as Debezium writes it, as far as an agent reads it."""
    schema, _, name = table.partition(".")
    source = {"schema": schema, "table": name, "ts_ms": 0}
    return json.dumps({"before": None, "after": row, "source": source, "op": "c"}).encode()


def inject(bootstrap_servers: str, topic: str, records: Mapping[str, KeyAndValue]) -> dict[str, Position]:
    """Put records onto a topic, marked as a test's own; returns where they are."""
    where: dict[str, Position] = {}
    producer = Producer({"bootstrap.servers": bootstrap_servers, "message.max.bytes": MAX_MESSAGE_BYTES})
    for name, (key, value) in records.items():

        def delivered(error: object, message: Any, name: str = name) -> None:
            assert error is None, error
            where[name] = Position(message.topic(), message.partition(), message.offset())

        headers: list[tuple[str, str | bytes | None]] = [(INJECTED, name)]
        while True:
            try:
                producer.produce(topic, value=value, key=key, headers=headers, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(1)
    assert producer.flush(FLUSH_TIMEOUT_S) == 0
    return where


def leave_a_transaction_open(bootstrap_servers: str, topic: str, timeout_ms: int) -> None:
    """What a producer leaves that is killed within a transaction: records neither committed nor aborted."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "transactional.id": f"left-open-{uuid.uuid4()}",
            "transaction.timeout.ms": timeout_ms,
        }
    )
    producer.init_transactions(FLUSH_TIMEOUT_S)
    producer.begin_transaction()
    for partition in range(len(producer.list_topics(topic, FLUSH_TIMEOUT_S).topics[topic].partitions)):
        producer.produce(topic, value=b"never committed", key=b"left open", partition=partition)
    assert producer.flush(FLUSH_TIMEOUT_S) == 0
