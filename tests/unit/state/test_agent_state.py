"""An agent's state is counted in a snapshot's entries by kind, and memory by its version."""

from __future__ import annotations

from headrace.state.agent_state import SHARD_STATE, AgentState
from headrace.state.keyed import Entry
from headrace_agents import codec
from headrace_agents.codec import Head, Memory


def of_python(data: bytes) -> bytes:
    """Bytes, as PyFlink's coder and then Flink's serializer write them."""
    return (4 + len(data)).to_bytes(4, "big") + len(data).to_bytes(4, "big") + data


def entry(map_key: bytes, value: bytes, key_group_bytes: int = 2) -> Entry:
    shard = bytes(key_group_bytes) + b"\0" + (506).to_bytes(4, "big") + b"\0"
    return Entry(SHARD_STATE, shard + of_python(map_key), b"\0" + of_python(value))


def memory(version: int) -> bytes:
    return codec.encode_memory(Memory(version, 5, b"{}"))


def test_keys_and_versions_are_counted() -> None:
    found = AgentState()
    found.add(
        [
            entry(codec.memory_key(b"[1]"), memory(1)),
            entry(codec.memory_key(b"[2]"), memory(2)),
            entry(codec.memory_key(b"[3]"), memory(2)),
            entry(codec.HEAD_KEY, codec.encode_head(Head(1, 2, None, 3))),
            Entry("_timer_state/processing_user-timers", b"", b""),
        ],
        720,
    )
    assert found.entries == {"memories": 3, "shards": 1}
    assert found.memory_versions == {1: 1, 2: 2}
    assert found.unreadable == 0


def test_few_key_groups_take_one_byte() -> None:
    found = AgentState()
    found.add([entry(codec.memory_key(b"[1]"), memory(1), key_group_bytes=1)], 128)
    assert found.entries == {"memories": 1}


def test_what_todays_format_does_not_explain_is_counted_as_such() -> None:
    found = AgentState()
    unknown = [entry(b"?", b""), entry(codec.memory_key(b"[1]"), b"\xff"), Entry(SHARD_STATE, b"", b"")]
    found.add([*unknown, Entry(SHARD_STATE, entry(b"m", b"").key, b"\1")], 720)
    assert (found.entries, found.unreadable) == ({}, 4)
