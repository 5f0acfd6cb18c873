"""The records that go in and out of an agent's job: the one place that knows their shapes.

Bytes in Kafka are JSON, UTF-8. Times are milliseconds since the epoch.

==============  =========================  =====================================================
topic           key                        value
==============  =========================  =====================================================
outcomes        the event's raw key        :class:`Outcome`: exactly one for every event
decisions       the event's raw key        :class:`DecisionRecord`: what runs emitted
dead letters    the event's raw key        the event's raw value (null stays null); the headers say
                                           where it came from and why
reviews         the event's raw key        :class:`Review`: a question to a human
answers         the review's raw key       :class:`ReviewAnswer`; it comes back to the same key
replays         the dead letter's raw key  a dead letter that is to be tried again:
                                           :func:`encode_replay`
==============  =========================  =====================================================

What the control topic and the reports hold is in :mod:`headrace_agents.control`.

An event is a change, an answer, a replay or a reminder. All but reminders are Kafka records, known by their
position for ever. A reminder is known by the event that set it and its place among that event's reminders;
its position has a topic that Kafka can't have, ``reminder/ID``.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

Reason = Literal[
    "malformed",
    "no_value",
    "too_large",
    "unknown_table",
    "no_key",
    "handler_error",
    "model_error",
    "loop_limit",
    "deadline",
    "memory_too_large",
    "output_too_large",
]
"""Why an event could not be decided."""

LARGEST_RECORD_BYTES = 8 * 2**20 + 2**19
"""Of what an agent's code makes as long as it likes, a step or all that a run puts out: below the topics'
limits, as what a broker refuses ends the job, and above the longest answer that may be declared."""


class Position(NamedTuple):
    """Where an input record stands in Kafka; unique for ever."""

    topic: str
    partition: int
    offset: int

    @property
    def place(self) -> str:
        """For a person: ``TOPIC/PARTITION/OFFSET``."""
        return "/".join(map(str, self))


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


class Record(BaseModel):
    """What is written as JSON: closed, and never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def encode(self) -> bytes:
        return self.model_dump_json().encode()


class Times(Record):
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


Status = Literal["decided", "dead_lettered", "erased"]
"""``erased``: its key was erased before it was decided; neither decision nor dead letter is left of it."""


class EventRef(Record):
    """A position, as JSON has it."""

    topic: str
    partition: int
    offset: int

    @property
    def position(self) -> Position:
        return Position(self.topic, self.partition, self.offset)


class Outcome(Record):
    """What became of one event."""

    agent: str
    topic: str
    partition: int
    offset: int
    origin: EventRef | None = None
    """Of a replay: the event that became the dead letter. Of a reminder: the event that set it."""
    status: Status
    decisions: tuple[str, ...]
    """Ids, in the order of emission."""
    reason: Reason | None
    times: Times
    shard: int | None = None
    """Its index, from 0; None: written by a runtime that did not say so."""
    model_calls: int
    """That were made; what was read back from the journal is not among them."""

    @property
    def position(self) -> Position:
        """Of the event's record."""
        return Position(self.topic, self.partition, self.offset)


class DecisionRecord(Record):
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
    settings_version: int = 0
    """Of the agent's settings, prompts among them, that made it; 0: as declared."""


class Review(Record):
    """A question to a human; its answer is an event of the same key."""

    id: str
    agent: str
    key: dict[str, Any]
    event: EventRef
    """That was being decided when the question came up."""
    kind: str
    """Name of the question's class."""
    question: dict[str, Any]
    asked_at_ms: int


class ReviewAnswer(Record):
    """What a human said; whoever writes it to the answers topic keeps the review's Kafka key."""

    review: str
    """The review's id."""
    answer: dict[str, Any]
    by: str = ""
    """Who answered."""


class ModelFailure(Record):
    """The question of a run that ended by a failure of the model which is escalated: is its event, a dead
    letter by now, to be tried again?"""

    failure: str
    """Its class."""
    detail: str


class FailureAnswer(Record):
    """What a human may say to it. The agent never sees it."""

    replay: bool


def decision_id(agent: str, position: Position, index: int) -> str:
    """32 hex digits, the same for the same decision of the same event, a replay of it included."""
    return _digest(agent, *position, index)


def review_id(agent: str, position: Position, index: int) -> str:
    return _digest(agent, *position, "review", index)


def failure_review_id(agent: str, record: Position) -> str:
    """Of the record whose run failed: a replay that fails again is another question."""
    return f"{_FAILURE}{_digest(agent, *record, 'failure')}"


def is_of_failure(review: str) -> bool:
    """Whether a review's id says that it asks about a failure, not for an agent."""
    return review.startswith(_FAILURE)


_FAILURE = "failure-"


def idempotency_key(agent: str, key: bytes, position: Position, step: str, occurrence: int) -> str:
    """Of one step: the same whenever the run is run again."""
    return _digest(agent, key.decode(), *position, step, occurrence)


def key_hash(key: bytes) -> str:
    """16 hex digits, by which money is counted per business key without the key."""
    return hashlib.sha256(key).hexdigest()[:16]


def reminder_position(agent: str, set_by: Position, index: int) -> Position:
    """The same whenever the event that sets the reminder is decided again."""
    return Position(f"{_REMINDER}{_digest(agent, *set_by, 'reminder', index)}", 0, 0)


def is_reminder(position: Position) -> bool:
    return position.topic.startswith(_REMINDER)


_REMINDER = "reminder/"


def dead_letter_headers(
    agent: str, position: Position, reason: Reason, detail: str, origin: Position | None = None
) -> dict[str, bytes]:
    """``origin`` is where the event of a replay came from at first."""
    values = {
        "agent": agent,
        "topic": position.topic,
        "partition": str(position.partition),
        "offset": str(position.offset),
        "reason": reason,
        "detail": detail[:MAX_DETAIL],
    }
    if origin is not None:
        values |= {f"origin.{name}": str(value) for name, value in origin._asdict().items()}
    return {f"headrace.{name}": value.encode(errors="backslashreplace") for name, value in values.items()}


MAX_DETAIL = 1000
"""Characters of what is told about a failure."""


class _ReplayHead(Record):
    origin: EventRef
    timestamp_ms: int
    null: bool
    """Whether the value is Kafka's null."""


def encode_replay(event: InputRecord) -> bytes:
    """A line of JSON that says where the event came from, then the event's own bytes."""
    ref = EventRef.model_validate(event.position._asdict())
    head = _ReplayHead(origin=ref, timestamp_ms=event.timestamp_ms, null=event.value is None)
    return head.encode() + b"\n" + (event.value or b"")


def decode_replay(record: InputRecord) -> InputRecord:
    """The event, with the position that it had at first. Raises ValueError when it is no replay."""
    head, _, value = (record.value or b"").partition(b"\n")
    try:
        found = _ReplayHead.model_validate_json(head)
    except ValidationError as error:
        raise ValueError(f"no replay: {error}") from error
    return InputRecord(found.origin.position, found.timestamp_ms, record.key, None if found.null else value)


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()[:32]
