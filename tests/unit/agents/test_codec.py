"""The wire format of state: what is written can be read, now and later."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_agents import codec
from headrace_agents.codec import Head, InboxEntry, JournalEntry, Memory, StoredReminder, UnknownFormatError
from headrace_agents.records import InputRecord, Position

ENTRIES = st.builds(
    InboxEntry,
    st.builds(
        InputRecord,
        st.builds(Position, st.text(max_size=249), st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1)),
        st.integers(-1, 2**62),
        st.none() | st.binary(),
        st.none() | st.binary(),
    ),
    st.integers(0, 2**62),
)


@given(ENTRIES)
def test_an_inbox_entry_comes_back_as_it_was(entry: InboxEntry) -> None:
    assert codec.decode_entry(codec.encode_entry(entry)) == entry


NUMBERS = st.integers(0, 2**62)


@given(st.builds(Head, NUMBERS, NUMBERS, st.none() | NUMBERS, st.none() | NUMBERS))
def test_a_head_comes_back_as_it_was(head: Head) -> None:
    assert codec.decode_head(codec.encode_head(head)) == head


@given(
    st.builds(
        JournalEntry, st.text(), st.integers(0, 2**32 - 1), st.binary(min_size=16, max_size=16), st.binary()
    )
)
def test_a_journal_entry_comes_back_as_it_was(entry: JournalEntry) -> None:
    assert codec.decode_journal(codec.encode_journal(entry)) == entry


@given(st.builds(Memory, st.integers(0, 65_535), NUMBERS, st.binary()))
def test_a_memory_comes_back_as_it_was(memory: Memory) -> None:
    assert codec.decode_memory(codec.encode_memory(memory)) == memory


@given(st.lists(st.builds(StoredReminder, st.text(), st.binary(), st.binary())))
def test_reminders_come_back_as_they_were(reminders: list[StoredReminder]) -> None:
    assert codec.decode_reminders(codec.encode_reminders(reminders)) == reminders


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_inbox_keys_sort_as_their_numbers(one: int, other: int) -> None:
    assert (codec.inbox_key(one) < codec.inbox_key(other)) == (one < other)


@pytest.mark.parametrize("data", [b"", b"\x02{}"])
def test_another_version_is_refused(data: bytes) -> None:
    with pytest.raises(UnknownFormatError, match="this runtime reads 1"):
        codec.decode_memory(data)
