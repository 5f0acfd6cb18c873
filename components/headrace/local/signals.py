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

SignalType = Literal["execute-snapshot", "pause-snapshot", "resume-snapshot", "stop-snapshot"]


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


def pause(backfill: str) -> Signal:
    """Reads no further chunk; of all that the connector reads, as Debezium knows no other pause.

    The connector keeps it in its offsets.
    """
    return Signal(_unique(backfill), "pause-snapshot", {"type": "INCREMENTAL"})


def resume(backfill: str) -> Signal:
    """Ends a pause, of all that the connector reads."""
    return Signal(_unique(backfill), "resume-snapshot", {"type": "INCREMENTAL"})


def stop(backfill: str, tables: Sequence[str]) -> Signal:
    """Reads these tables no further, once the next chunk is due: while it is paused, when that ends."""
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
