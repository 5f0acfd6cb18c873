"""How a shard's state is written: bytes, in one map per shard, told apart by the key's first byte.

All numbers are big-endian. The first byte of every value is the version of its format, 1. ``text`` is a
u32 length and that many bytes, UTF-8 where it is text.

===============  =============================  ====================================================
entry            key                            value
===============  =============================  ====================================================
shard head       ``h``                          version u8; first u64, next u64: the inbox holds
                                                sequence numbers of ``[first, next)``, some of which
                                                may be settled; held from i64: events with this
                                                number or a higher one do not start (-1: none are
                                                held); journal offset i64: what the journal topic
                                                holds of this shard below it is in this state (-1:
                                                unknown). Absent when all of it is at its default.
tasks            ``t``                          version u8, JSON array of the control commands that
                                                are being worked off, each with its progress.
                                                Absent when there are none.
settings         ``s``                          version u8, version of the settings u64, JSON merge patch
                                                over the declared ones (UTF-8). Absent while they are
                                                as declared.
inbox entry      ``i`` + sequence number u64    version u8, partition i32, offset i64, Kafka timestamp
                                                i64 (ms), accepted at i64 (ms), length of topic u16,
                                                of key i32, of value i32 (-1 is null); topic (UTF-8),
                                                key, value
journal entry    ``j`` + sequence number u64    version u8, occurrence u32, digest of the step's
                 + number u32                   inputs 16 bytes, text name, text result
memory of a key  ``m`` + business key           version u8, schema version u16, written at i64 (ms),
                                                JSON of the agent's memory model (UTF-8)
reminders        ``r`` + due at u64 (ms, odd)   version u8, then for each reminder: text topic of its
                                                position, text raw Kafka key, text JSON
===============  =============================  ====================================================

The business key is the canonical JSON array of the values of the declared key fields.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from headrace_agents.records import InputRecord, Position

VERSION = 1
HEAD_KEY = b"h"
TASKS_KEY = b"t"
SETTINGS_KEY = b"s"
INBOX, JOURNAL, MEMORY, REMINDERS = b"i", b"j", b"m", b"r"
KIND_NAMES = {
    HEAD_KEY: "head",
    TASKS_KEY: "tasks",
    SETTINGS_KEY: "settings",
    INBOX: "inbox",
    JOURNAL: "journal",
    MEMORY: "memory",
    REMINDERS: "reminders",
}
"""By the key's first byte, as reports name them."""
INPUT_DIGEST_BYTES = 16

_NUMBER = struct.Struct(">Q")
_STEP = struct.Struct(">QI")
_HEAD = struct.Struct(">BQQqq")
_ENTRY = struct.Struct(">BiqqqHii")
_MEMORY = struct.Struct(">BHq")
_JOURNAL = struct.Struct(f">BI{INPUT_DIGEST_BYTES}s")
_LENGTH = struct.Struct(">I")
_SETTINGS = struct.Struct(">BQ")


class UnknownFormatError(ValueError):
    """State was written by a version of the runtime that this one can't read."""


class Head(NamedTuple):
    """What is known of a shard as a whole."""

    first: int = 0
    following: int = 0
    held_from: int | None = None
    journal_offset: int | None = None


class SettingsVersion(NamedTuple):
    """Settings that are in force for a shard."""

    version: int = 0
    """0: as declared."""
    patch: str = "{}"
    """A JSON merge patch over what is declared, canonical."""


AS_DECLARED = SettingsVersion()


class InboxEntry(NamedTuple):
    """An event that was accepted and is not decided yet."""

    record: InputRecord
    accepted_at_ms: int


class JournalEntry(NamedTuple):
    """A finished step of an unfinished run."""

    name: str
    occurrence: int
    """Among the run's steps of this name, from 0."""
    input_digest: bytes
    result: bytes


class Memory(NamedTuple):
    """A key's memory; ``json`` fits the agent's memory model of ``schema_version``."""

    schema_version: int
    written_at_ms: int
    json: bytes


class StoredReminder(NamedTuple):
    """A reminder that is not due yet."""

    topic: str
    """Of its position."""
    raw_key: bytes
    json: bytes
    """:class:`headrace_agents.events.ReminderBody`"""


def inbox_key(sequence: int) -> bytes:
    return INBOX + _NUMBER.pack(sequence)


def sequence_number(key: bytes) -> int:
    """Of the key of an entry of the inbox."""
    return int(_NUMBER.unpack(key[1:])[0])


def journal_key(sequence: int, number: int) -> bytes:
    return JOURNAL + _STEP.pack(sequence, number)


def memory_key(business_key: bytes) -> bytes:
    return MEMORY + business_key


def reminders_key(due_at_ms: int) -> bytes:
    return REMINDERS + _NUMBER.pack(due_at_ms)


def due_at_ms(key: bytes) -> int:
    """Of the key of an entry of reminders."""
    return int(_NUMBER.unpack(key[1:])[0])


def encode_head(head: Head) -> bytes:
    return _HEAD.pack(
        VERSION, head.first, head.following, _minus_one_or(head.held_from), _minus_one_or(head.journal_offset)
    )


def decode_head(data: bytes) -> Head:
    _check_version(data)
    _, first, following, held_from, journal_offset = _HEAD.unpack(data)
    return Head(first, following, _none_or(held_from), _none_or(journal_offset))


def encode_tasks(json: bytes) -> bytes:
    return bytes((VERSION,)) + json


def decode_tasks(data: bytes) -> bytes:
    _check_version(data)
    return data[1:]


def encode_settings(settings: SettingsVersion) -> bytes:
    return _SETTINGS.pack(VERSION, settings.version) + settings.patch.encode()


def decode_settings(data: bytes) -> SettingsVersion:
    _check_version(data)
    _, version = _SETTINGS.unpack_from(data)
    return SettingsVersion(version, data[_SETTINGS.size :].decode())


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


def encode_journal(entry: JournalEntry) -> bytes:
    head = _JOURNAL.pack(VERSION, entry.occurrence, entry.input_digest)
    return b"".join((head, *_texts((entry.name.encode(), entry.result))))


def decode_journal(data: bytes) -> JournalEntry:
    _check_version(data)
    _, occurrence, digest = _JOURNAL.unpack_from(data)
    name, result = _split(data[_JOURNAL.size :])
    return JournalEntry(name.decode(), occurrence, digest, result)


def encode_memory(memory: Memory) -> bytes:
    return _MEMORY.pack(VERSION, memory.schema_version, memory.written_at_ms) + memory.json


def decode_memory(data: bytes) -> Memory:
    _check_version(data)
    _, schema_version, written_at_ms = _MEMORY.unpack_from(data)
    return Memory(schema_version, written_at_ms, data[_MEMORY.size :])


def encode_reminders(reminders: Iterable[StoredReminder]) -> bytes:
    texts = (part for each in reminders for part in (each.topic.encode(), each.raw_key, each.json))
    return b"".join((bytes((VERSION,)), *_texts(texts)))


def decode_reminders(data: bytes) -> list[StoredReminder]:
    _check_version(data)
    parts = iter(_split(data[1:]))
    return [
        StoredReminder(topic.decode(), raw_key, json)
        for topic, raw_key, json in zip(parts, parts, parts, strict=True)
    ]


def _texts(parts: Iterable[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield _LENGTH.pack(len(part))
        yield part


def _split(data: bytes) -> list[bytes]:
    parts, at = [], 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + length
        parts.append(data[at - length : at])
    return parts


def _minus_one_or(number: int | None) -> int:
    return -1 if number is None else number


def _none_or(number: int) -> int | None:
    return None if number < 0 else number


def _length(data: bytes | None) -> int:
    return -1 if data is None else len(data)


def _take(data: bytes, length: int) -> tuple[bytes | None, bytes]:
    return (None, data) if length < 0 else (data[:length], data[length:])


def _check_version(data: bytes) -> None:
    if data[:1] != bytes((VERSION,)):
        found = data[0] if data else None
        raise UnknownFormatError(f"state is of format {found}, this runtime reads {VERSION}")
