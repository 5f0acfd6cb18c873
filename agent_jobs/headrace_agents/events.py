"""From a raw Kafka record to what is to be done with it: Debezium's envelope, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from headrace_agents.agent import Change, Handler, Operation
from headrace_agents.records import InputRecord, Position, Reason
from headrace_agents.spec import InputTopic

_OPERATIONS: Mapping[str, Operation] = {"c": "create", "u": "update", "d": "delete", "r": "read"}


class RejectedError(Exception):
    """The event can't be decided: a dead letter."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Work:
    """A change that a handler of the agent is to see."""

    handler: Handler
    operation: Operation
    table: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    key: Mapping[str, Any]

    def change(self, position: Position, committed_at_ms: int | None) -> Change[BaseModel]:
        """The typed change. Raises RejectedError when the row does not fit the handler's model."""
        committed_at = None if committed_at_ms is None else _moment(committed_at_ms)
        before, after = self._row(self.before), self._row(self.after)
        return Change(self.operation, self.table, before, after, self.key, position, committed_at)

    def _row(self, row: Mapping[str, Any] | None) -> BaseModel | None:
        try:
            return None if row is None else self.handler.row_type.model_validate(row)
        except ValidationError as error:
            raise RejectedError("malformed", f"{self.table}: {error}") from error


@dataclass(frozen=True, slots=True)
class Reading:
    """What a record says. ``work`` is None when there is nothing to do: decided, without decisions."""

    business_key: bytes | None = None
    """None where the record has none that can be read."""
    committed_at_ms: int | None = None
    work: Work | None = None
    rejected: RejectedError | None = None


class EventReader:
    """Reads the records of an agent's input topics."""

    def __init__(
        self,
        inputs: tuple[InputTopic, ...],
        key_fields: tuple[str, ...],
        handlers: Mapping[tuple[str, Operation], Handler],
        max_event_bytes: int,
    ) -> None:
        self._tables = {topic.topic: topic.table for topic in inputs}
        self._key_fields = key_fields
        self._handlers = handlers
        self._max_event_bytes = max_event_bytes

    def _is_too_large(self, record: InputRecord) -> bool:
        return len(record.key or b"") + len(record.value or b"") > self._max_event_bytes

    def read(self, record: InputRecord) -> Reading:
        """Never raises: what is wrong with the record is in the reading.

        The key is read whatever is wrong with the value, of which nothing is read when it is too large.
        """
        key = self._key(record.key)
        business_key = None if isinstance(key, RejectedError) else to_json(list(key.values()))
        if self._is_too_large(record):
            detail = f"more than {self._max_event_bytes} bytes"
            return Reading(business_key, rejected=RejectedError("too_large", detail))
        committed_at_ms = None
        try:
            envelope = self._envelope(record)
            if envelope is None:
                return Reading(business_key)
            committed_at_ms = _committed_at_ms(envelope)
            return Reading(business_key, committed_at_ms, self._work(record.position, envelope, key))
        except RejectedError as rejected:
            return Reading(business_key, committed_at_ms, rejected=rejected)

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

    def _work(
        self, position: Position, envelope: Mapping[str, Any], key: Mapping[str, Any] | RejectedError
    ) -> Work | None:
        table, code = _table(envelope), envelope.get("op")
        if not isinstance(code, str):
            raise RejectedError("malformed", "the envelope has no op")
        if table != self._tables.get(position.topic):
            raise RejectedError("unknown_table", f"{table} on {position.topic}")
        operation = _OPERATIONS.get(code)
        handler = None if operation is None else self._handlers.get((table, operation))
        if operation is None or handler is None:
            return None
        if isinstance(key, RejectedError):
            raise key
        before, after = _row(envelope, "before"), _row(envelope, "after")
        if before is None and after is None:
            raise RejectedError("malformed", f"{operation} without a row")
        return Work(handler, operation, table, before, after, key)


def _table(envelope: Mapping[str, Any]) -> str:
    source = envelope.get("source")
    if not isinstance(source, dict) or not isinstance(source.get("table"), str):
        raise RejectedError("malformed", "the envelope has no source.table")
    return f"{source.get('schema')}.{source['table']}"


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
