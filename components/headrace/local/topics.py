"""Topics of a stack on this machine: :mod:`headrace_agents.topics`, whose errors are told to a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from headrace.errors import HeadraceError
from headrace_agents import topics
from headrace_agents.records import Position
from headrace_agents.spec import KafkaSpec
from headrace_agents.topics import Broker, KeptRecord, TopicError, kept

__all__ = [
    "OUTAGES",
    "Broker",
    "KeptRecord",
    "kept",
    "no_answer",
    "read_topic",
    "told",
    "write",
]

OUTAGES = frozenset(
    {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._TIMED_OUT}  # noqa: SLF001
)
"""The broker is gone for now: a reader that waits goes on when it is back."""


@contextmanager
def told() -> Iterator[None]:
    """What is wrong with a topic is a HeadraceError."""
    try:
        yield
    except TopicError as error:
        raise HeadraceError(f"{error}; is the stack up? (`headrace status`)") from error


def read_topic(kafka: KafkaSpec | Broker, topic: str, since_ms: int | None = None) -> Iterator[KeptRecord]:
    """As :func:`headrace_agents.topics.read_topic`; raises HeadraceError where that raises TopicError."""
    with told():
        yield from topics.read_topic(kafka, topic, since_ms)


def write(
    kafka: KafkaSpec | Broker, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]
) -> list[Position]:
    """As :func:`headrace_agents.topics.write`; raises HeadraceError where that raises TopicError."""
    with told():
        return topics.write(kafka, topic, records)


def no_answer(error: KafkaException) -> HeadraceError:
    return HeadraceError(f"{topics.no_answer(error)}; is the stack up? (`headrace status`)")
