"""Names, serializers and entries of keyed state, as a running agent stored them."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.state.data_input import DataInput, Unreadable
from headrace.state.keyed import entries, read_description
from headrace.state.metadata import read_metadata
from headrace.state.snapshot import Inline, KeyedState

GOLDEN = Path(__file__).parent / "golden"
SHARD = "python-state-shard"


def agent(name: str) -> list[tuple[KeyedState, bytes]]:
    """The agent's keyed state of each subtask, and what stands in its description."""
    read = read_metadata((GOLDEN / f"{name}.metadata").read_bytes(), "s3://savepoints/x")
    (operator,) = (each for each in read.operators if each.uid == "agent")
    keyed = [keyed for subtask in operator.subtasks for keyed in subtask.keyed]
    return [(each, each.description.data) for each in keyed if isinstance(each.description, Inline)]


def test_states_have_names_kinds_and_serializers() -> None:
    (_, data), *_ = agent("savepoint")
    description = read_description(DataInput(data))
    assert description.key_serializer == "RowSerializer<IntSerializer>"
    assert {(state.name, state.kind, state.serializer) for state in description.states} >= {
        (SHARD, "keyed", "MapSerializer<ByteArrayWrapperSerializer, BytePrimitiveArraySerializer>"),
        (
            "_timer_state/processing_user-timers",
            "timers",
            "TimerSerializer<RowSerializer<IntSerializer>, VoidNamespaceSerializer>",
        ),
    }


def test_every_entry_of_a_savepoint_is_in_the_key_group_it_begins_with() -> None:
    found = [(keyed, entry) for keyed, data in agent("savepoint") for entry in entries(data, keyed.offsets)]
    assert SHARD in {entry.state for _, entry in found}
    for keyed, entry in found:
        group = int.from_bytes(entry.key[:2], "big")
        assert keyed.first_key_group <= group < keyed.first_key_group + keyed.key_groups


def test_a_serializer_that_is_not_known_is_refused() -> None:
    (_, data), *_ = agent("savepoint")
    with pytest.raises(Unreadable, match="XyzSerializerSnapshot is not known"):
        read_description(
            DataInput(data.replace(b"IntSerializer$IntSerializer", b"XyzSerializer$XyzSerializer"))
        )


def test_entries_that_are_compressed_are_refused() -> None:
    (keyed, data), *_ = agent("savepoint")
    with pytest.raises(Unreadable, match="compressed"):
        list(entries(data[:4] + b"\1" + data[5:], keyed.offsets))
