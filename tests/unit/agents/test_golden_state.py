"""State and journal as they were written once: today's code reads every byte of them and writes the same.

`agent_jobs/.venv/bin/python -m tests.unit.agents.test_golden_state` writes files for kinds of entry that
have none yet. A file that is there is never written again: another format is another version, beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from headrace_agents import codec, journal
from headrace_agents.codec import Head, InboxEntry, JournalEntry, Memory, SettingsVersion, StoredReminder
from headrace_agents.journal import TailReader, Written
from headrace_agents.records import InputRecord, Position

GOLDEN = Path(__file__).parent / "golden"
OWNER = bytes(range(16))
DIGEST = bytes(range(16, 32))
STEP = JournalEntry("tool:refund#0/pay", 2, DIGEST, '{"id":"é"}'.encode())
WRITTEN = Written(Position("shop.public.orders", 3, 2**40), 1_700_000_000_000, STEP)


class Kind(NamedTuple):
    """How one kind of entry is written and read; ``read(write(content)) == content``."""

    content: Any
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]


def _of_tail(data: bytes) -> Written:
    reader = TailReader()
    reader.take(0, data)
    (written,) = reader.of(7, 0)
    return written


def _owner_of(data: bytes) -> bytes:
    reader = TailReader()
    reader.take(0, data)
    (claim,) = reader.of_shard[7]
    assert claim.step is None
    return claim.owner


def _is_mark(data: bytes) -> bool:
    reader = TailReader()
    reader.take(0, data)
    return (reader.records, reader.of_shard) == (1, {})


def _entry(key: bytes | None, value: bytes | None) -> InboxEntry:
    record = InputRecord(Position("shop.public.orders", 3, 2**40), 1_699_999_999_999, key, value)
    return InboxEntry(record, 1_700_000_000_000)


KINDS: Mapping[str, Kind] = {
    "head": Kind(Head(2**33, 2**33 + 5, 2**33 + 1, 2**41), codec.encode_head, codec.decode_head),
    "head-unheld": Kind(Head(1, 2), codec.encode_head, codec.decode_head),
    "tasks": Kind(
        b'[{"command":{"id":"1","kind":"check","key":null},"after":"6d5b315d","counts":{"memory":3}}]',
        codec.encode_tasks,
        codec.decode_tasks,
    ),
    "settings": Kind(
        SettingsVersion(2**33, '{"note":"\u00e9"}'), codec.encode_settings, codec.decode_settings
    ),
    "inbox": Kind(_entry(b'{"order_id":1}', b'{"op":"c"}'), codec.encode_entry, codec.decode_entry),
    "inbox-nulls": Kind(_entry(None, None), codec.encode_entry, codec.decode_entry),
    "journal": Kind(STEP, codec.encode_journal, codec.decode_journal),
    "memory": Kind(
        Memory(65_535, 1_700_000_000_000, '{"note":"é"}'.encode()), codec.encode_memory, codec.decode_memory
    ),
    "reminders": Kind(
        [StoredReminder("reminder/" + "a" * 32, b'{"order_id":1}', b"{}"), StoredReminder("", b"", b"")],
        codec.encode_reminders,
        codec.decode_reminders,
    ),
    "topic-claim": Kind(OWNER, lambda owner: journal.encode_claim(7, owner), _owner_of),
    "topic-mark": Kind(True, lambda _: journal.encode_mark(OWNER), _is_mark),
    "topic-step": Kind(WRITTEN, lambda written: journal.encode_step(7, OWNER, written), _of_tail),
}
KEYS: Mapping[str, bytes] = {
    "key-head": codec.HEAD_KEY,
    "key-tasks": codec.TASKS_KEY,
    "key-settings": codec.SETTINGS_KEY,
    "key-inbox": codec.inbox_key(2**33),
    "key-journal": codec.journal_key(2**33, 2**17),
    "key-memory": codec.memory_key('["é",1]'.encode()),
    "key-reminders": codec.reminders_key(1_700_000_000_001),
}


def golden(name: str) -> bytes:
    return bytes.fromhex((GOLDEN / f"{name}.hex").read_text())


@pytest.mark.parametrize("name", KINDS)
def test_what_was_written_once_is_read_and_written_as_then(name: str) -> None:
    kind = KINDS[name]

    assert kind.read(golden(name)) == kind.content
    assert kind.write(kind.content) == golden(name)


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_entries_are_what_they_were(name: str) -> None:
    assert KEYS[name] == golden(name)


def test_the_time_of_reminders_is_read_from_their_key() -> None:
    assert codec.due_at_ms(golden("key-reminders")) == 1_700_000_000_001


def test_every_file_is_compared_and_every_encoder_has_one() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == KINDS.keys() | KEYS.keys()
    encoders = {name for module in (codec, journal) for name in vars(module) if name.startswith("encode_")}
    assert encoders == {
        "encode_claim",
        "encode_entry",
        "encode_head",
        "encode_journal",
        "encode_mark",
        "encode_memory",
        "encode_reminders",
        "encode_settings",
        "encode_step",
        "encode_tasks",
    }


def write_missing() -> None:
    """Writes the files that are not there: hexadecimal, 32 bytes a line."""
    GOLDEN.mkdir(exist_ok=True)
    for name, data in {**{n: kind.write(kind.content) for n, kind in KINDS.items()}, **KEYS}.items():
        file = GOLDEN / f"{name}.hex"
        if not file.exists():
            file.write_text("".join(f"{data[at : at + 32].hex()}\n" for at in range(0, len(data), 32)))


if __name__ == "__main__":
    write_missing()
