"""The wire format of state: what is written can be read, now and later."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_agents import codec
from headrace_agents.codec import InboxEntry, UnknownFormatError
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


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_bounds_come_back_as_they_were(first: int, following: int) -> None:
    assert codec.decode_bounds(codec.encode_bounds(first, following)) == (first, following)


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_inbox_keys_sort_as_their_numbers(one: int, other: int) -> None:
    assert (codec.inbox_key(one) < codec.inbox_key(other)) == (one < other)


def test_the_format_of_version_1_is_what_it_is() -> None:
    entry = InboxEntry(InputRecord(Position("t", 1, 2), 3, b"k", None), 4)

    assert codec.encode_entry(entry).hex() == (
        "0100000001000000000000000200000000000000030000000000000004000100000001ffffffff746b"
    )
    assert codec.encode_bounds(1, 2).hex() == "0100000000000000010000000000000002"
    assert codec.encode_memory(b"{}") == b"\x01{}"


@pytest.mark.parametrize("data", [b"", b"\x02{}"])
def test_another_version_is_refused(data: bytes) -> None:
    with pytest.raises(UnknownFormatError, match="this runtime reads 1"):
        codec.decode_memory(data)
