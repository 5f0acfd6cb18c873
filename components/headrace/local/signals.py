"""What a source's connector is told of backfills: records of its signals topic, in Debezium's format.

A signal is JSON with ``id``, ``type`` and ``data``, under the connector's ``topic.prefix`` as its key
(Debezium's documentation, "Sending signals to a Debezium connector", Kafka channel). The connector reads
them in their order, once its first snapshot is over. It knows by its consumer group how far it has read, so
what is said while it is down is heard when it is back; what it heard in the last seconds before a kill it may
hear twice, and then a backfill's tables are read a second time.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headrace.local.topics import Broker, read_topic, write

SignalType = Literal["execute-snapshot", "pause-snapshot", "stop-snapshot"]
PROBE = ".one-row"
"""Ends the id of the signal that comes before the one that starts a backfill."""


@dataclass(frozen=True)
class Signal:
    """One of a backfill's signals."""

    id: str
    """The backfill's id; of all but the one that starts it with a dot and something unique after it."""
    type: SignalType
    data: Mapping[str, Any]

    @property
    def backfill(self) -> str:
        """Its id: no name has a dot."""
        return self.id.partition(".")[0]

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(self.data.get("data-collections", ()))

    def encode(self) -> bytes:
        return json.dumps({"id": self.id, "type": self.type, "data": self.data}, sort_keys=True).encode()


@dataclass(frozen=True)
class SaidSignal:
    """A signal that is in the topic."""

    signal: Signal
    at_ms: int


def start(backfill: str, tables: Sequence[str], where: Mapping[str, str]) -> Signal:
    """Reads tables by an incremental snapshot, one after the other.

    To Debezium a table's name is a pattern. It is exact as it is: its only dot stands between schema and
    table, and no name of a table comes without one.
    """
    conditions = [{"data-collection": table, "filter": where[table]} for table in tables if table in where]
    data: dict[str, Any] = {"type": "INCREMENTAL", "data-collections": list(tables)}
    return Signal(
        backfill, "execute-snapshot", data | ({"additional-conditions": conditions} if conditions else {})
    )


def start_safely(backfill: str, tables: Sequence[str], where: Mapping[str, str]) -> list[Signal]:
    """The signals that start a backfill: one row of its first table, and then, while that is read, all of it.

    Debezium reads the first chunk of a snapshot in the thread that hears signals, while another one streams.
    A change that is streamed between that chunk's query and its last row would be followed by the row as it
    was before. Later chunks are read by the thread that streams, and so are tables that are added to a
    snapshot that runs. So the first chunk is one row, and the time in which that could happen some hundred
    microseconds of that row alone.
    """
    table = tables[0]
    condition = f" WHERE {where[table]}" if table in where else ""
    one_row = f"ctid = (SELECT ctid FROM {table}{condition} LIMIT 1)"  # noqa: S608 (a declared table and condition)
    return [start(f"{backfill}{PROBE}", [table], {table: one_row}), start(backfill, tables, where)]


def pause(backfill: str) -> Signal:
    """Reads no further chunk; of all that the connector reads, as Debezium knows no other pause."""
    return Signal(_unique(backfill), "pause-snapshot", {"type": "INCREMENTAL"})


def stop(backfill: str, tables: Sequence[str]) -> Signal:
    """Reads these tables no further; while it is paused it does not hear it, and a restart forgets it."""
    return Signal(
        _unique(backfill), "stop-snapshot", {"type": "INCREMENTAL", "data-collections": list(tables)}
    )


def say(broker: Broker, topic: str, source: str, said: Sequence[Signal]) -> None:
    """Raises HeadraceError when not all of them were written."""
    write(broker, topic, [(source.encode(), signal.encode()) for signal in said])


def read_signals(broker: Broker, topic: str) -> list[SaidSignal]:
    """All that was ever said, in its order; what is no signal of ours is left out.

    Raises HeadraceError when Kafka does not answer or has no such topic.
    """
    found = []
    for record in read_topic(broker, topic):
        try:
            said = json.loads(record.value or b"")
            found.append(SaidSignal(Signal(said["id"], said["type"], said["data"]), record.timestamp_ms))
        except (ValueError, KeyError, TypeError):
            continue  # the connector leaves it out too
    return found


def _unique(backfill: str) -> str:
    return f"{backfill}.{uuid.uuid4().hex}"
