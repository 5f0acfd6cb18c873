"""How a shard's state is written: bytes, in one map per shard, told apart by the key's first byte.

All numbers are big-endian. The first byte of every value is the version of its format, 1.

===============  =============================  ====================================================
entry            key                            value
===============  =============================  ====================================================
inbox bounds     ``b``                          version u8, first u64, next u64: the inbox holds
                                                sequence numbers of ``[first, next)``, some of which
                                                may be settled. Absent when the inbox is empty.
inbox entry      ``i`` + sequence number u64    version u8, partition i32, offset i64, Kafka timestamp
                                                i64 (ms), accepted at i64 (ms), length of topic u16,
                                                of key i32, of value i32 (-1 is null); topic (UTF-8),
                                                key, value
memory of a key  ``m`` + business key           version u8, JSON of the agent's memory model (UTF-8)
===============  =============================  ====================================================

The business key is the canonical JSON array of the values of the declared key fields.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from headrace_agents.records import InputRecord, Position

VERSION = 1
BOUNDS_KEY = b"b"

_SEQUENCE = struct.Struct(">Q")
_BOUNDS = struct.Struct(">BQQ")
_ENTRY = struct.Struct(">BiqqqHii")


class UnknownFormatError(ValueError):
    """State was written by a version of the runtime that this one can't read."""


class InboxEntry(NamedTuple):
    """An event that was accepted and is not decided yet."""

    record: InputRecord
    accepted_at_ms: int


def inbox_key(sequence: int) -> bytes:
    return b"i" + _SEQUENCE.pack(sequence)


def memory_key(business_key: bytes) -> bytes:
    return b"m" + business_key


def encode_bounds(first: int, following: int) -> bytes:
    return _BOUNDS.pack(VERSION, first, following)


def decode_bounds(data: bytes) -> tuple[int, int]:
    _check_version(data)
    _, first, following = _BOUNDS.unpack(data)
    return first, following


def encode_entry(entry: InboxEntry) -> bytes:
    (topic, partition, offset), timestamp_ms, key, value = entry.record
    name = topic.encode()
    lengths = (len(name), _length(key), _length(value))
    head = _ENTRY.pack(VERSION, partition, offset, timestamp_ms, entry.accepted_at_ms, *lengths)
    return b"".join((head, name, key or b"", value or b""))


def decode_entry(data: bytes) -> InboxEntry:
    _check_version(data)
    _, partition, offset, timestamp_ms, accepted_at_ms, topic_length, key_length, value_length = (
        _ENTRY.unpack_from(data)
    )
    topic, rest = _take(data[_ENTRY.size :], topic_length)
    key, rest = _take(rest, key_length)
    value, _ = _take(rest, value_length)
    position = Position((topic or b"").decode(), partition, offset)
    return InboxEntry(InputRecord(position, timestamp_ms, key, value), accepted_at_ms)


def encode_memory(json: bytes) -> bytes:
    return bytes((VERSION,)) + json


def decode_memory(data: bytes) -> bytes:
    """The JSON of the agent's memory model."""
    _check_version(data)
    return data[1:]


def _length(data: bytes | None) -> int:
    return -1 if data is None else len(data)


def _take(data: bytes, length: int) -> tuple[bytes | None, bytes]:
    return (None, data) if length < 0 else (data[:length], data[length:])


def _check_version(data: bytes) -> None:
    if data[:1] != bytes((VERSION,)):
        found = data[0] if data else None
        raise UnknownFormatError(f"state is of format {found}, this runtime reads {VERSION}")
