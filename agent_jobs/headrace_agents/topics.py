"""Records of a topic as they are kept: read to the end, and written with every replica's word."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from headrace_agents.msk_login import with_login
from headrace_agents.records import Position
from headrace_agents.spec import AgentJobSpec, KafkaSpec

METADATA_TIMEOUT_S = 15
QUIET_TIMEOUT_S = 30
"""Without any record, before a topic counts as unreadable."""
FLUSH_TIMEOUT_S = 60
BY_ITS_KEY = -1
"""In the place of a partition."""
LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024
"""Of this client: what a topic takes is the topic's own setting."""

READS_ALONE: Mapping[str, object] = {"enable.auto.commit": False}
"""Of a consumer that belongs to no group: it says itself where it reads from."""
TO_ITS_END: Mapping[str, object] = {"isolation.level": "read_committed", "enable.partition.eof": True}
"""Of a consumer that reads what is committed, and is told where a partition ends."""
READER_GROUP = "headrace-reader"
"""A client names a group, whether it is in it or not."""


class TopicError(Exception):
    """A topic can't be read or written: why, for a person."""


@dataclass(frozen=True)
class Broker:
    """Where Kafka is."""

    bootstrap_servers: str
    client_properties: Mapping[str, str] = field(default_factory=dict)
    """Of librdkafka."""

    @classmethod
    def of(cls, spec: AgentJobSpec) -> Broker:
        """As the agent's own clients of librdkafka get there; ``spec.kafka`` is of Flink's."""
        return cls(spec.kafka.bootstrap_servers, spec.journal.client_properties)


@dataclass(frozen=True)
class KeptRecord:
    position: Position
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes] = field(default_factory=dict)


def client(kafka: KafkaSpec | Broker, **options: object) -> dict[str, object]:
    """Configuration of a Kafka client."""
    return {
        "bootstrap.servers": kafka.bootstrap_servers,
        "log_level": 0,
        **with_login(kafka.client_properties),
        **options,
    }


def read_topic(
    kafka: KafkaSpec | Broker,
    topic: str,
    since_ms: int | None = None,
    *,
    offsets: Mapping[int, int] | None = None,
    uncommitted: bool = False,
) -> Iterator[KeptRecord]:
    """Everything that is committed now, partition by partition in its order; ``since_ms``: by Kafka's time;
    ``offsets``: from these on, of partitions that are not among them all; ``uncommitted``: of transactions
    that are open or were aborted, too.

    Raises TopicError when Kafka does not answer or has no such topic.
    """
    consumer = Consumer(
        client(
            kafka,
            **{"group.id": READER_GROUP},
            **READS_ALONE,
            **{**TO_ITS_END, **_isolation(uncommitted=uncommitted)},
        )
    )
    try:
        unread = set(_assign(consumer, topic, since_ms, offsets))
        deadline = time.monotonic() + QUIET_TIMEOUT_S
        while unread:
            message = consumer.poll(0.2)
            if message is None:
                if time.monotonic() > deadline:
                    raise TopicError(f"{topic} was not read to its end")
                continue
            deadline = time.monotonic() + QUIET_TIMEOUT_S
            error = message.error()
            if error is None:
                yield kept(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (its public name in this client)
                unread.discard(message.partition())
            elif not error.retriable():
                raise TopicError(f"reading {topic}: {error.str()}")
    except KafkaException as error:
        raise no_answer(error) from error
    finally:
        consumer.close()


def write(
    kafka: KafkaSpec | Broker, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]
) -> list[Position]:
    """Keys and values, each to its key's partition: see :func:`write_to`."""
    return write_to(kafka, topic, ((BY_ITS_KEY, key, value) for key, value in records))


def write_to(
    kafka: KafkaSpec | Broker, topic: str, records: Iterable[tuple[int, bytes | None, bytes | None]]
) -> list[Position]:
    """Partitions, keys and values, in their order, once each; returns where they are.

    Raises TopicError when not all of them were acknowledged: those before the first that was not are
    there, and the message says how many they are.
    """
    producer = Producer(
        client(
            kafka,
            **{
                "enable.idempotence": True,
                "acks": "all",
                "message.max.bytes": LARGEST_MESSAGE_BYTES,
                "delivery.timeout.ms": FLUSH_TIMEOUT_S * 1000,
            },
        )
    )
    written: list[Position] = []
    failed: list[str] = []
    count = 0

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is None:
            written.append(kept(message).position)
        else:
            failed.append(error.str())

    for partition, key, value in records:
        producer.produce(topic, key=key, value=value, partition=partition, on_delivery=delivered)
        count += 1
        producer.poll(0)
    producer.flush(FLUSH_TIMEOUT_S + 5)
    if len(written) < count:
        why = failed[0] if failed else "Kafka does not answer"
        raise TopicError(f"{len(written)} of {count} records were written to {topic}: {why}")
    return written


def kept(message: Message) -> KeptRecord:
    headers = {name: _bytes(value) or b"" for name, value in dict(message.headers() or []).items()}
    return KeptRecord(
        Position(str(message.topic()), message.partition() or 0, message.offset() or 0),
        message.timestamp()[1],
        _bytes(message.key()),
        _bytes(message.value()),
        headers,
    )


def no_answer(error: KafkaException) -> TopicError:
    return TopicError(f"Kafka does not answer: {error.args[0].str()}")


def ends(kafka: KafkaSpec | Broker, topic: str, *, uncommitted: bool = False) -> dict[int, int]:
    """Where each partition ends: before its first open transaction, or behind all that was written.

    Raises TopicError as :func:`read_topic` does.
    """
    options = {"group.id": READER_GROUP, **_isolation(uncommitted=uncommitted)}
    consumer = Consumer(client(kafka, **options, **READS_ALONE))
    try:
        return {
            partition: consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=METADATA_TIMEOUT_S
            )[1]
            for partition in _partitions(consumer, topic)
        }
    except KafkaException as error:
        raise no_answer(error) from error
    finally:
        consumer.close()


def _isolation(*, uncommitted: bool) -> dict[str, object]:
    return {"isolation.level": "read_uncommitted" if uncommitted else "read_committed"}


def _partitions(consumer: Consumer, topic: str) -> list[int]:
    found = consumer.list_topics(topic, timeout=METADATA_TIMEOUT_S).topics.get(topic)
    if found is None or found.error is not None:
        raise TopicError(f"no topic {topic}")
    return list(found.partitions)


def _assign(
    consumer: Consumer, topic: str, since_ms: int | None, offsets: Mapping[int, int] | None
) -> list[int]:
    partitions = _partitions(consumer, topic)
    if offsets is not None:
        wanted = [TopicPartition(topic, each, offsets.get(each, OFFSET_BEGINNING)) for each in partitions]
        consumer.assign(wanted)
    elif since_ms is None:
        consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in partitions])
    else:
        wanted = [TopicPartition(topic, each, max(0, since_ms)) for each in partitions]
        consumer.assign(consumer.offsets_for_times(wanted, timeout=METADATA_TIMEOUT_S))
    return partitions


def _bytes(data: str | bytes | None) -> bytes | None:
    return data.encode() if isinstance(data, str) else data
