"""From a raw Kafka record to what is to be done with it: Debezium's envelope, read strictly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from headrace_agents.agent import Answer, Change, Event, Handler, LoadedAgent, Operation, Reminder
from headrace_agents.records import (
    EventRef,
    InputRecord,
    Position,
    Reason,
    ReviewAnswer,
    decode_replay,
    is_of_failure,
    is_reminder,
)
from headrace_agents.rows import read_partly, read_row
from headrace_agents.spec import AgentJobSpec

_OPERATIONS: Mapping[str, Operation] = {"c": "create", "u": "update", "d": "delete", "r": "read"}


class RejectedError(Exception):
    """The event can't be decided: a dead letter."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


class Work(Protocol):
    """An event that a handler of the agent is to see."""

    @property
    def handler(self) -> Handler: ...

    @property
    def key(self) -> Mapping[str, Any]:
        """The business key, by field."""

    def event(self, position: Position, committed_at_ms: int | None) -> Event:
        """The typed event. Raises RejectedError when its content does not fit the handler's model."""


@dataclass(frozen=True, slots=True)
class ChangeWork:
    handler: Handler
    key: Mapping[str, Any]
    operation: Operation
    table: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    in_part: bool = False
    """Values that do not fit the handler's model are passed on as they are."""
    backfilled: bool = False

    def event(self, position: Position, committed_at_ms: int | None) -> Event:
        committed_at = None if committed_at_ms is None else _moment(committed_at_ms)
        before, after = (None if row is None else self._read(row) for row in (self.before, self.after))
        return Change(
            self.operation, self.table, before, after, self.key, position, committed_at, self.backfilled
        )

    def _read(self, row: Mapping[str, Any]) -> BaseModel:
        return _payload(self.handler, row, self.table, read_partly if self.in_part else read_row)


@dataclass(frozen=True, slots=True)
class ReminderWork:
    handler: Handler
    key: Mapping[str, Any]
    body: ReminderBody

    def event(self, position: Position, _committed_at_ms: int | None) -> Event:
        payload = _payload(self.handler, self.body.payload, self.body.kind)
        return Reminder(payload, self.key, position, _moment(self.body.due_at_ms))


@dataclass(frozen=True, slots=True)
class AnswerWork:
    handler: Handler
    key: Mapping[str, Any]
    said: ReviewAnswer

    def event(self, position: Position, _committed_at_ms: int | None) -> Event:
        answer = _payload(self.handler, self.said.answer, f"answer to {self.said.review}")
        return Answer(answer, self.said.review, self.said.by, self.key, position)


class ReminderBody(BaseModel):
    """A reminder as state has it until it is due, and as its event's value."""

    set_by: EventRef
    kind: str
    """Name of the payload's class."""
    payload: dict[str, Any]
    due_at_ms: int


def _payload(
    handler: Handler,
    content: Mapping[str, Any],
    what: str,
    read: Callable[[type[BaseModel], Mapping[str, Any]], BaseModel] = read_row,
) -> BaseModel:
    try:
        return read(handler.payload_type, content)
    except ValidationError as error:
        raise RejectedError("malformed", f"{what}: {error}") from error
    except Exception as error:
        # A validator that fails at a value which it was not written for.
        raise RejectedError("malformed", f"{what}: {type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class Reading:
    """What a record says. ``work`` is None when there is nothing to do: decided, without decisions."""

    position: Position
    """Of the event: of a replay, the position that it had at first. Ids are made from it."""
    business_key: bytes | None = None
    """None where the record has none that can be read."""
    committed_at_ms: int | None = None
    work: Work | None = None
    rejected: RejectedError | None = None
    origin: Position | None = None
    """As in :class:`headrace_agents.records.Outcome`."""
    replayed: InputRecord | None = None
    """The dead letter that a replay carries."""


class EventReader:
    """Reads the records of an agent's input topics, and its reminders."""

    def __init__(self, spec: AgentJobSpec, agent: LoadedAgent) -> None:
        self._tables = {topic.topic: topic.table for topic in spec.inputs}
        self._passed_on = {topic.topic for topic in spec.inputs if topic.on_misfit == "pass_on"}
        self._key_fields = spec.key
        self._agent = agent
        self._skips_backfilled = spec.backfilled == "skip"
        self._max_event_bytes = spec.limits.max_event_bytes
        self._answers, self._replays = spec.feedback.answers, spec.feedback.replays

    def read(self, record: InputRecord) -> Reading:
        """Never raises: what is wrong with the record is in the reading.

        The key is read whatever is wrong with the value, of which nothing is read when it is too large.
        """
        if record.position.topic == self._replays:
            return self._replay(record)
        return self._read(record, None, None)

    def business_key(self, raw: bytes | None) -> bytes | None:
        """Of a record's raw key; None where it has none that can be read."""
        key = self._key(raw)
        return None if isinstance(key, RejectedError) else to_json(list(key.values()))

    def _replay(self, record: InputRecord) -> Reading:
        try:
            event = decode_replay(record)
        except ValueError as error:
            key = self.business_key(record.key)
            return Reading(record.position, key, rejected=RejectedError("malformed", str(error)))
        return self._read(event, event.position, event)

    def _read(self, record: InputRecord, origin: Position | None, replayed: InputRecord | None) -> Reading:
        key = self._key(record.key)
        business_key = None if isinstance(key, RejectedError) else to_json(list(key.values()))
        committed_at_ms: int | None = None
        work: Work | None = None
        rejected: RejectedError | None = None
        position = record.position
        try:
            self._check_size(record)
            if is_reminder(position):
                work = self._reminder(record, key)
                origin = origin or work.body.set_by.position
            elif position.topic == self._answers:
                work = self._answer(record, key)
            elif (envelope := self._envelope(record)) is not None:
                committed_at_ms = _committed_at_ms(envelope)
                work = self._change(position, envelope, key)
        except RejectedError as error:
            rejected = error
        return Reading(position, business_key, committed_at_ms, work, rejected, origin, replayed)

    def _check_size(self, record: InputRecord) -> None:
        if len(record.key or b"") + len(record.value or b"") > self._max_event_bytes:
            raise RejectedError("too_large", f"more than {self._max_event_bytes} bytes")

    def _reminder(self, record: InputRecord, key: Mapping[str, Any] | RejectedError) -> ReminderWork:
        if isinstance(key, RejectedError):
            raise key
        body = ReminderBody.model_validate_json(record.value or b"")
        handler = self._agent.reminders.get(body.kind)
        if handler is None:
            raise RejectedError("malformed", f"no handler takes a reminder with a {body.kind} any more")
        return ReminderWork(handler, key, body)

    def _answer(self, record: InputRecord, key: Mapping[str, Any] | RejectedError) -> AnswerWork | None:
        if isinstance(key, RejectedError):
            raise key
        if record.value is None:
            raise RejectedError("no_value", "an answer without a value")
        try:
            said = ReviewAnswer.model_validate_json(record.value)
        except ValidationError as error:
            raise RejectedError("malformed", f"no answer: {error}") from error
        if is_of_failure(said.review):
            return None  # whoever gave it has done what it says
        handler = self._agent.answers
        return None if handler is None else AnswerWork(handler, key, said)

    def _key(self, raw: bytes | None) -> Mapping[str, Any] | RejectedError:
        try:
            fields = None if raw is None else from_json(raw)
        except ValueError as error:
            return RejectedError("no_key", f"the key is not JSON: {error}")
        if not isinstance(fields, dict):
            return RejectedError("no_key", "the key is no JSON object")
        missing = [name for name in self._key_fields if fields.get(name) is None]
        if missing:
            return RejectedError("no_key", f"the key has no value for {', '.join(missing)}")
        return {name: fields[name] for name in self._key_fields}

    def _envelope(self, record: InputRecord) -> Mapping[str, Any] | None:
        """None for a tombstone, which says nothing that the delete before it did not say."""
        if record.value is None:
            if record.key is None:
                raise RejectedError("no_value", "neither key nor value")
            return None
        try:
            envelope = from_json(record.value)
        except ValueError as error:
            raise RejectedError("malformed", f"the value is not JSON: {error}") from error
        if envelope is None:
            raise RejectedError("no_value", "the value is JSON null")
        if not isinstance(envelope, dict):
            raise RejectedError("malformed", "the value is no JSON object")
        return envelope

    def _change(
        self, position: Position, envelope: Mapping[str, Any], key: Mapping[str, Any] | RejectedError
    ) -> ChangeWork | None:
        table, code = _table(envelope), envelope.get("op")
        if not isinstance(code, str):
            raise RejectedError("malformed", "the envelope has no op")
        if table != self._tables.get(position.topic):
            raise RejectedError("unknown_table", f"{table} on {position.topic}")
        operation = _OPERATIONS.get(code)
        handler = None if operation is None else self._agent.changes.get((table, operation))
        backfilled = is_backfilled(envelope)
        if operation is None or handler is None or (backfilled and self._skips_backfilled):
            return None
        if isinstance(key, RejectedError):
            raise key
        before, after = _row(envelope, "before"), _row(envelope, "after")
        if before is None and after is None:
            raise RejectedError("malformed", f"{operation} without a row")
        in_part = position.topic in self._passed_on
        return ChangeWork(
            handler, key, operation, table, before, after, in_part=in_part, backfilled=backfilled
        )


def is_backfilled(envelope: Mapping[str, Any]) -> bool:
    """Whether an incremental snapshot read it: Debezium's ``source.snapshot``, with its ``op`` of a read."""
    source = envelope.get("source")
    return envelope.get("op") == "r" and isinstance(source, dict) and source.get("snapshot") == "incremental"


def _table(envelope: Mapping[str, Any]) -> str:
    """``schema.table``; MySQL and MariaDB have no schemas, and their envelopes have ``source.db`` alone."""
    source = envelope.get("source")
    if not isinstance(source, dict) or not isinstance(source.get("table"), str):
        raise RejectedError("malformed", "the envelope has no source.table")
    return f"{source.get('schema', source.get('db'))}.{source['table']}"


def _row(envelope: Mapping[str, Any], side: str) -> Mapping[str, Any] | None:
    row = envelope.get(side)
    if row is not None and not isinstance(row, dict):
        raise RejectedError("malformed", f"{side} is no JSON object")
    return row


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _committed_at_ms(envelope: Mapping[str, Any]) -> int | None:
    source = envelope.get("source")
    moment = source.get("ts_ms") if isinstance(source, dict) else None
    return moment if isinstance(moment, int) and 0 <= moment < _YEAR_9999_MS else None


_YEAR_9999_MS = 253_370_764_800_000
