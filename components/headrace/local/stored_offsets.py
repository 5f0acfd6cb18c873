"""What connectors have stored of where they are, as Kafka Connect's topic of offsets has it.

Kafka Connect itself tells it of connectors that are there alone: not of one that the next `up` makes again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from headrace.errors import HeadraceError
from headrace.local.kafka_client import SILENT
from headrace_agents.topics import READS_ALONE, TO_ITS_END

TIMEOUT_S = 5
FIRST_LOOK = 1_000
"""Records from a partition's end; each further look is ten times as long. A connector stores all the time."""


@dataclass(frozen=True)
class StoredOffsets:
    """The topic, and where it is."""

    bootstrap_servers: str
    topic: str

    def of(self, connector: str, server: str) -> dict[str, Any] | None:
        """The newest offset; None where there is none, or it was forgotten.

        Args:
            connector: its name.
            server: Debezium's ``topic.prefix``.

        Raises:
            HeadraceError: Kafka does not answer.
        """
        # The client's own log would go to the plugin's output, which is the engine's.
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": "headrace-stored-offsets",
                **READS_ALONE,
                **TO_ITS_END,
            },
            logger=SILENT,
        )
        try:
            topics = consumer.list_topics(timeout=TIMEOUT_S).topics
            if self.topic not in topics:
                return None
            key = [connector, {"server": server}]
            for partition in topics[self.topic].partitions:
                for value in _newest(consumer, TopicPartition(self.topic, partition), key):
                    return json.loads(value) if value else None
        except KafkaException as error:
            raise HeadraceError(
                f"Kafka does not answer at {self.bootstrap_servers}: {error.args[0].str()}"
            ) from None
        finally:
            consumer.close()
        return None


def _newest(consumer: Consumer, at: TopicPartition, key: object) -> list[bytes | None]:
    """The value of the newest record with this key, alone; empty where there is no record."""
    begin, end = consumer.get_watermark_offsets(at, timeout=TIMEOUT_S)
    look, upper = FIRST_LOOK, end
    while begin < upper:
        lower = max(begin, end - look)
        values = [
            message.value()
            for message in _between(consumer, TopicPartition(at.topic, at.partition, lower), upper)
            if json.loads(message.key() or b"null") == key
        ]
        if values:
            return values[-1:]
        look, upper = look * 10, lower
    return []


def _between(consumer: Consumer, lower: TopicPartition, upper: int) -> list[Message]:
    """Records up to `upper`, or to an open transaction."""
    consumer.assign([lower])
    found: list[Message] = []
    while True:
        message = consumer.poll(TIMEOUT_S)
        if message is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 (the client's, of no broker)
        if error := message.error():
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (the same)
                return found
            raise KafkaException(error)
        if (message.offset() or 0) >= upper:
            return found
        found.append(message)
