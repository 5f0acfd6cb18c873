"""Where a topic ends by now."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition

TIMEOUT_S = 30


def ends(bootstrap_servers: str, topic: str) -> dict[int, int]:
    """Offset after the last record, of open transactions too, by partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "headrace-ends", "log_level": 0})
    try:
        partitions = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        return {
            each: int(consumer.get_watermark_offsets(TopicPartition(topic, each), timeout=TIMEOUT_S)[1])
            for each in partitions
        }
    finally:
        consumer.close()
