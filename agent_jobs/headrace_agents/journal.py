"""The write-ahead journal: finished steps, acknowledged by Kafka before the run goes on.

State alone knows only what the last checkpoint knew. Every subtask, when it starts, first writes a claim
for each of its shards; what a shard's earlier owner writes after that is discarded. A shard's state keeps
the offset up to which it holds what the journal says (:class:`headrace_agents.codec.Head`); the tail
between it and the claim is read when the shard is first touched.

========  ===========================================================================================
record    value
========  ===========================================================================================
claim     version u8, ``c``, shard u32, owner 16 bytes
mark      version u8, ``m``, owner 16 bytes: its offset bounds what was written before it
step      version u8, ``s``, shard u32, owner 16 bytes, partition i32, offset i64, accepted at i64 (ms),
          length of topic u16, topic (UTF-8) of the event's position; the journal entry as state has it
========  ===========================================================================================
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from headrace_agents import codec
from headrace_agents.codec import JournalEntry
from headrace_agents.records import Position

OWNER_BYTES = 16


class JournalError(BaseException):
    """Kafka does not take or give what is in the journal; the job fails and starts again from its state.

    No Exception, so that no agent's code takes it for its own.
    """


_CLAIM, _MARK, _STEP = b"c", b"m", b"s"
_HEAD = struct.Struct(f">BcI{OWNER_BYTES}s")
_MARKED = struct.Struct(f">Bc{OWNER_BYTES}s")
_EVENT = struct.Struct(">iqqH")


class Written(NamedTuple):
    """A step as the journal topic has it."""

    position: Position
    """Of the event."""
    accepted_at_ms: int
    """Of the event: a run that no checkpoint knew of goes on with the time that its steps were given."""
    entry: JournalEntry


class Journal(Protocol):
    """What the operator and the runs need of it. Shards are given by their index, from 0."""

    def append(self, shard: int, written: Written) -> Awaitable[None]:
        """Returns when the record is acknowledged; called on the loop of the runs.

        :meth:`collected_until` does not pass it before :meth:`settled` is called.
        """

    def settled(self, shard: int) -> None:
        """The last step that was appended is now where the operator finds it."""

    def collected_until(self, shard: int) -> int | None:
        """An offset: every step of the shard below it was settled before this call. None if unknown."""

    def tail(self, shard: int, from_offset: int | None, since_ms: int) -> Iterable[Written]:
        """What is in the journal of the shard from an offset on, or, if that is unknown, from a time on."""


def encode_claim(shard: int, owner: bytes) -> bytes:
    return _HEAD.pack(codec.VERSION, _CLAIM, shard, owner)


def encode_mark(owner: bytes) -> bytes:
    return _MARKED.pack(codec.VERSION, _MARK, owner)


def encode_step(shard: int, owner: bytes, written: Written) -> bytes:
    topic, partition, offset = written.position
    name = topic.encode()
    head = _HEAD.pack(codec.VERSION, _STEP, shard, owner)
    event = _EVENT.pack(partition, offset, written.accepted_at_ms, len(name))
    return b"".join((head, event, name, codec.encode_journal(written.entry)))


class Progress:
    """Up to where all steps of a shard are settled; of one owner, whose records are acknowledged in the order
    of their offsets: what is still on its way is above what has arrived.
    """

    def __init__(self, partitions: Mapping[int, int]) -> None:
        """``partitions`` has each shard's."""
        self._partitions = partitions
        self._acknowledged: dict[int, int] = {}
        """The last offset, by partition."""
        self._unsettled: dict[int, set[int]] = {shard: set() for shard in partitions}
        self.until: dict[int, int] = {}
        """By shard; each offset only grows."""

    def acknowledge_step(self, shard: int, offset: int, *, awaited: bool) -> None:
        """A step is in Kafka; it counts once it is settled, at once where nobody waits for it any more."""
        self._acknowledged[self._partitions[shard]] = offset
        if awaited:
            self._unsettled[shard].add(offset)
        else:
            self._advance(shard)

    def acknowledge_mark(self, partition: int, offset: int) -> None:
        """A mark or a claim is in Kafka, which shards without steps go by."""
        self._acknowledged[partition] = offset
        for shard, its_partition in self._partitions.items():
            if its_partition == partition:
                self._advance(shard)

    def settle(self, shard: int, offset: int) -> None:
        self._unsettled[shard].discard(offset)
        self._advance(shard)

    def _advance(self, shard: int) -> None:
        acknowledged = self._acknowledged.get(self._partitions[shard], -1)
        self.until[shard] = min(self._unsettled[shard], default=acknowledged + 1)


class TailRecord(NamedTuple):
    offset: int
    owner: bytes
    step: Written | None
    """None for a claim."""


@dataclass
class TailReader:
    """Makes sense of a partition's records, in whichever order they are read."""

    records: int = 0
    discarded: int = 0
    """Steps, of the shards that were asked for, of an owner whose shard another one had claimed by then."""
    of_shard: dict[int, list[TailRecord]] = field(default_factory=dict)

    def take(self, offset: int, value: bytes) -> None:
        self.records += 1
        if value[0] != codec.VERSION:
            raise codec.UnknownFormatError(
                f"journal record of format {value[0]}; this runtime reads {codec.VERSION}"
            )
        if value[1:2] == _MARK:
            return
        _, kind, shard, owner = _HEAD.unpack_from(value)
        step = None if kind == _CLAIM else _written(value)
        self.of_shard.setdefault(shard, []).append(TailRecord(offset, owner, step))

    def of(self, shard: int, start: int) -> Iterable[Written]:
        """Steps of a shard from an offset on; of one that was written again, the last."""
        steps: dict[tuple[Position, str, int], Written] = {}
        owner: bytes | None = None
        for offset, by, step in sorted(self.of_shard.get(shard, ()), key=lambda record: record.offset):
            if step is None:
                owner = by
            elif offset < start:
                continue
            elif owner is not None and by != owner:
                self.discarded += 1
            else:
                steps[step.position, step.entry.name, step.entry.occurrence] = step
        return steps.values()


def _written(value: bytes) -> Written:
    at = _HEAD.size
    partition, offset, accepted_at_ms, length = _EVENT.unpack_from(value, at)
    at += _EVENT.size
    topic = value[at : at + length].decode()
    entry = codec.decode_journal(value[at + length :])
    return Written(Position(topic, partition, offset), accepted_at_ms, entry)
