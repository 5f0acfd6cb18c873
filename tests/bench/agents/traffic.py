"""Records into the input topic, as Debezium writes them, and decisions out of the output topic."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from headrace.operations.decisions import committed_reader
from tests.bench.agents.cluster import now_ms

CUSTOMERS = 10_000
TIMEOUT_S = 30
INPUT_PARTITIONS, OUTPUT_PARTITIONS = 12, 4
BATCH = 10_000
READ_PATIENCE_S = 5.0
MOMENTS = ("sent", "asked", "answered")


@dataclass(frozen=True)
class Decided:
    """One decision, with the times of its event; milliseconds since the epoch."""

    sent_at_ms: int
    asked_at_ms: int
    answered_at_ms: int
    produced_at_ms: int
    """Of its record."""


class Kafka:
    def __init__(self, bootstrap_servers: str) -> None:
        self._servers: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap_servers}
        self._bootstrap_servers = bootstrap_servers
        self._random = random.Random(1)
        self._sent = 0

    def create(self, topic: str, partitions: int) -> None:
        admin = AdminClient(self._servers)
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(TIMEOUT_S)

    def send(self, topic: str, count: int) -> None:
        """As fast as it goes."""
        producer = Producer(self._servers | {"linger.ms": 50, "queue.buffering.max.messages": 200_000})
        for _ in range(count):
            self._produce(producer, topic)
            if self._sent % BATCH == 0:
                producer.flush(TIMEOUT_S)
        producer.flush(TIMEOUT_S)

    def send_one_of_each(self, topic: str, keys: int, body_bytes: int) -> None:
        """One event of each key, with so much text that no two have alike."""
        producer = Producer(self._servers | {"linger.ms": 50, "queue.buffering.max.messages": 200_000})
        for key in range(keys):
            body = self._random.randbytes(body_bytes // 2).hex()
            self._produce(producer, topic, customer=key, body=body)
            if self._sent % BATCH == 0:
                producer.flush(TIMEOUT_S)
        producer.flush(TIMEOUT_S)

    @contextmanager
    def sending(self, topic: str, per_second: int) -> Iterator[None]:
        """At a constant rate that does not wait for anything (open loop), while the block runs."""
        stop = threading.Event()
        producer = Producer(self._servers | {"linger.ms": 0})

        def run() -> None:
            started, sent = time.monotonic(), 0
            while not stop.wait(max(0.0, started + sent / per_second - time.monotonic())):
                self._produce(producer, topic)
                sent += 1

        thread = threading.Thread(target=run, name="traffic")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            producer.flush(TIMEOUT_S)

    def count(self, topic: str) -> int:
        """Records so far, committed or not; markers of transactions count too."""
        with committed_reader(self._bootstrap_servers, [topic], from_beginning=True) as consumer:
            partitions = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
            return sum(
                consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_S)[1]
                for partition in partitions
            )

    def decisions(self, topic: str) -> list[Decided]:
        """All that a ``read_committed`` consumer sees."""
        found: list[Decided] = []
        with committed_reader(self._bootstrap_servers, [topic], from_beginning=True) as consumer:
            while messages := consumer.consume(BATCH, READ_PATIENCE_S if not found else 1.0):
                for message in messages:
                    value: dict[str, Any] = json.loads(message.value() or b"{}")
                    decision = value.get("decision", value)
                    sent, asked, answered = (int(decision[f"{name}_at_ms"]) for name in MOMENTS)
                    found.append(Decided(sent, asked, answered, message.timestamp()[1]))
        return found

    def produced_at_ms(self, topic: str) -> list[int]:
        """When each committed record was produced."""
        found: list[int] = []
        with committed_reader(self._bootstrap_servers, [topic], from_beginning=True) as consumer:
            while messages := consumer.consume(BATCH, READ_PATIENCE_S if not found else 1.0):
                found += [message.timestamp()[1] for message in messages]
        return found

    def _produce(
        self, producer: Producer, topic: str, customer: int | None = None, body: str = "The amount is wrong."
    ) -> None:
        self._sent += 1
        if customer is None:
            customer = self._random.randrange(CUSTOMERS)
        row = {
            "id": self._sent,
            "customer_id": customer,
            "subject": "Invoice",
            "body": body,
            "sent_at_ms": now_ms(),
        }
        source = {
            "version": "3.7.0.Final",
            "connector": "postgresql",
            "name": "support",
            "ts_ms": row["sent_at_ms"],
            "db": "support",
            "schema": "public",
            "table": "tickets",
            "txId": self._sent,
            "lsn": self._sent,
        }
        envelope = {"before": None, "after": row, "source": source, "op": "c", "ts_ms": row["sent_at_ms"]}
        producer.produce(
            topic,
            json.dumps(envelope, separators=(",", ":")),
            json.dumps({"customer_id": customer}, separators=(",", ":")),
        )
        producer.poll(0)
