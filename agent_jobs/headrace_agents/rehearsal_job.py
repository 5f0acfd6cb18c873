"""What a rehearsal is given and gives: the one definition that the command and the program share."""

from __future__ import annotations

import base64
from typing import Any, Literal

from pydantic import Field

from headrace_agents.records import InputRecord, Position, Record
from headrace_agents.spec import AgentJobSpec


class Event(Record):
    """A record of an input topic; key and value in base64."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str | None
    value: str | None

    @classmethod
    def of(cls, record: InputRecord) -> Event:
        return cls(
            **record.position._asdict(),
            timestamp_ms=record.timestamp_ms,
            key=None if record.key is None else base64.b64encode(record.key).decode(),
            value=None if record.value is None else base64.b64encode(record.value).decode(),
        )

    @property
    def record(self) -> InputRecord:
        return InputRecord(
            Position(self.topic, self.partition, self.offset),
            self.timestamp_ms,
            None if self.key is None else base64.b64decode(self.key),
            None if self.value is None else base64.b64decode(self.value),
        )


class Job(Record):
    """What is rehearsed."""

    spec: AgentJobSpec
    patch: dict[str, Any] = Field(default_factory=dict)
    """Over the declared settings: a JSON merge patch."""
    run_tools: bool = False
    """Tools are called; without it a run is cut off where the model calls one."""
    events: tuple[Event, ...]


class Decided(Record):
    kind: str
    decision: dict[str, Any]


class Rehearsed(Record):
    """What became of one event."""

    topic: str
    partition: int
    offset: int
    status: Literal["decided", "dead_lettered", "cut_off"]
    detail: str = ""
    """Why it is a dead letter, or the step that is not made here."""
    decisions: tuple[Decided, ...] = ()
    ms: int = 0
    """The run's."""
    calls: int = 0
    """Attempts at the model."""
    tokens: int = 0
    picodollars: int = 0

    @property
    def position(self) -> Position:
        return Position(self.topic, self.partition, self.offset)
