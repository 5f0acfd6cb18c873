"""The records that go in and out of an agent's job: the one place that knows their shapes.

Bytes in Kafka are JSON, UTF-8. Times are milliseconds since the epoch.

==============  =========================  =====================================================
topic           key                        value
==============  =========================  =====================================================
outcomes        the event's raw key        :class:`Outcome`: exactly one for every input record
decisions       the event's raw key        :class:`DecisionRecord`: what runs emitted
dead letters    the event's raw key        the event's raw value (null stays null); the headers say
                                           where it came from and why
==============  =========================  =====================================================
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

Reason = Literal[
    "malformed",
    "no_value",
    "too_large",
    "unknown_table",
    "no_key",
    "handler_error",
    "model_error",
    "deadline",
    "memory_too_large",
]
"""Why an event could not be decided."""


class Position(NamedTuple):
    """Where an input record stands in Kafka; unique for ever."""

    topic: str
    partition: int
    offset: int


class InputRecord(NamedTuple):
    """One record of an input topic, as it came."""

    position: Position
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class OutputRecord(NamedTuple):
    """One record for an output topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def encode(self) -> bytes:
        return self.model_dump_json().encode()


class Times(_Record):
    """When what happened to an event; milliseconds since the epoch."""

    committed_at_ms: int | None
    """Commit in the source database (Debezium's ``source.ts_ms``)."""
    kafka_at_ms: int
    """Timestamp of the Kafka record."""
    accepted_at_ms: int
    """Taken in by the operator."""
    started_at_ms: int | None
    """The run began; null when the event needed none."""
    finished_at_ms: int | None
    """The run's last line was done; null when the event needed none."""
    emitted_at_ms: int
    """Memory, decisions and this outcome were handed to Flink, in one step."""


class Outcome(_Record):
    """What became of one input record."""

    agent: str
    topic: str
    partition: int
    offset: int
    status: Literal["decided", "dead_lettered"]
    decisions: tuple[str, ...]
    """Ids, in the order of emission."""
    reason: Reason | None
    times: Times
    model_calls: int


class DecisionRecord(_Record):
    """One decision; ``id`` is the same however often the event is decided."""

    id: str
    agent: str
    key: dict[str, Any]
    """The business key, by field."""
    event: dict[str, Any]
    """``topic``, ``partition``, ``offset`` of the event that was decided."""
    index: int
    """Place among the decisions of this event, from 0."""
    kind: str
    """Name of the decision's class."""
    decision: dict[str, Any]
    decided_at_ms: int


def decision_id(agent: str, position: Position, index: int) -> str:
    """32 hex digits, the same for the same decision of the same event."""
    return _digest(agent, *position, index)


def idempotency_key(agent: str, key: bytes, position: Position, call: int) -> str:
    """Of one model call: the same whenever the run is run again."""
    return _digest(agent, key.decode(), *position, call)


def dead_letter_headers(agent: str, position: Position, reason: Reason, detail: str) -> dict[str, bytes]:
    values = {
        "agent": agent,
        "topic": position.topic,
        "partition": str(position.partition),
        "offset": str(position.offset),
        "reason": reason,
        "detail": detail[:_MAX_DETAIL],
    }
    return {f"headrace.{name}": value.encode() for name, value in values.items()}


_MAX_DETAIL = 1000


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()[:32]
