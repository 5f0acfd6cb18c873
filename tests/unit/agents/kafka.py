"""A stand-in for ``confluent_kafka``'s clients: partitions of one topic in memory, which all of them share.

What it has of the real ones: offsets, times, ends of partitions, full queues, and ``consume``, which waits
until there are as many records as it was asked for. Nothing of brokers, replication or fetching.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

Delivered = Callable[[KafkaError | None, Any], None]


@dataclass(frozen=True)
class FakeMessage:
    at: int
    """Partition."""
    place: int = 0
    data: bytes = b""
    timestamp_ms: int = 0
    failure: KafkaError | None = None

    def error(self) -> KafkaError | None:
        return self.failure

    def topic(self) -> str:
        return "budgets"

    def partition(self) -> int:
        return self.at

    def offset(self) -> int:
        return self.place

    def value(self) -> bytes:
        return self.data


@dataclass
class Broker:
    """Its records, and what goes wrong with it."""

    records: dict[int, list[FakeMessage]] = field(default_factory=dict)
    readable: float = float("inf")
    """Of each partition, how many records consumers are given."""
    refuses: KafkaError | None = None
    breaks: KafkaError | None = None
    """Raised where a record is asked for."""
    full: bool = False
    """No producer has room, until it is polled."""
    on_read: Callable[[], None] = lambda: None
    on_question: Callable[[str], None] = lambda _: None
    ended: list[str] = field(default_factory=list)
    """What was closed, in order."""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def write(self, value: bytes, partition: int = 0, timestamp_ms: int | None = None) -> FakeMessage:
        with self.changed:
            partition = max(partition, 0)
            written = self.records.setdefault(partition, [])
            now_ms = round(time.time() * 1000) if timestamp_ms is None else timestamp_ms
            written.append(message := FakeMessage(partition, len(written), value, now_ms))
            self.changed.notify_all()
        return message

    @contextmanager
    def held(self, readable: int) -> Iterator[None]:
        """Consumers are given no more for a while."""
        self.readable = readable
        yield
        with self.changed:
            self.readable = float("inf")
            self.changed.notify_all()

    def end(self, partition: int) -> int:
        return len(self.records.get(partition, []))

    def producer(self, _config: dict[str, object]) -> FakeProducer:
        return FakeProducer(self)

    def consumer(self, _config: dict[str, object]) -> FakeConsumer:
        return FakeConsumer(self)


class FakeProducer:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._reports: list[Callable[[], None]] = []

    def produce(
        self, topic: str, value: bytes, *, key: bytes | None, partition: int, on_delivery: Delivered
    ) -> None:
        broker = self._broker
        if broker.full:
            raise BufferError
        if broker.refuses is not None:
            refused = FakeMessage(max(partition, 0), failure=broker.refuses)
            self._reports.append(lambda: on_delivery(broker.refuses, refused))
        elif topic == "budgets":
            broker.write(value, partition)

    def poll(self, timeout: float) -> int:
        self._broker.full = False
        reports, self._reports = self._reports, []
        for report in reports:
            report()
        if timeout and not reports:
            time.sleep(min(timeout, 0.01))
        return len(reports)

    def flush(self, _timeout: float) -> int:
        self._broker.ended.append("flush")
        return self.poll(0)


class FakeConsumer:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._next: dict[int, int] = {}
        self._told_end: dict[int, int] = {}

    def get_watermark_offsets(self, at: TopicPartition, timeout: float) -> tuple[int, int]:
        found = 0, self._broker.end(at.partition)
        self._broker.on_question("ends")
        return found

    def offsets_for_times(self, wanted: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        found = [TopicPartition(at.topic, at.partition, self._offset_of(at)) for at in wanted]
        self._broker.on_question("times")
        return found

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._next = {at.partition: at.offset for at in partitions}

    def poll(self, timeout: float) -> FakeMessage | None:
        found = self.consume(1, timeout)
        return found[0] if found else None

    def consume(self, num_messages: int, timeout: float) -> list[FakeMessage]:
        broker, found = self._broker, list[FakeMessage]()
        until = time.monotonic() + timeout
        with broker.changed:
            while True:
                if broker.breaks is not None:
                    raise KafkaException(broker.breaks)
                while len(found) < num_messages and (message := self._following()) is not None:
                    found.append(message)
                left = until - time.monotonic()
                if len(found) == num_messages or left <= 0:
                    break
                broker.changed.wait(left)
        if any(message.failure is None for message in found):
            broker.on_read()
        return found

    def close(self) -> None:
        self._broker.ended.append("close")

    def _offset_of(self, at: TopicPartition) -> int:
        late = (each for each in self._broker.records.get(at.partition, []) if each.timestamp_ms >= at.offset)
        return next((each.place for each in late), -1)

    def _following(self) -> FakeMessage | None:
        for partition, offset in self._next.items():
            if offset < min(self._broker.end(partition), self._broker.readable):
                self._next[partition] += 1
                return self._broker.records[partition][offset]
            if offset >= self._broker.end(partition) and self._told_end.get(partition) != offset:
                self._told_end[partition] = offset
                return FakeMessage(partition, offset, failure=KafkaError(KafkaError._PARTITION_EOF))
        return None
