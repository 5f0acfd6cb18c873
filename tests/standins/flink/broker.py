"""Brokers within this process: librdkafka's mock cluster, which other processes reach on loopback.

It keeps records, offsets of groups and transactions; it asks nobody to log in, and markers of transactions
are none of its records.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

TIMEOUT_S = 20


@contextmanager
def mock_broker(*topics: str) -> Iterator[str]:
    """Its address, as long as the block lasts; topics have 4 partitions."""
    owner = Producer({"bootstrap.servers": "of.the.mock.cluster", "test.mock.num.brokers": 1, "log_level": 0})
    for topic in topics:
        # Whoever may write to a topic makes it by asking.
        owner.list_topics(topic, timeout=TIMEOUT_S)
    known = owner.list_topics(timeout=TIMEOUT_S)
    yield ",".join(f"{each.host}:{each.port}" for each in known.brokers.values())
    owner.flush(TIMEOUT_S)
