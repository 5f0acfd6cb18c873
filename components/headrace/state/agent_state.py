"""What a shard's state holds, counted: entries of each kind, and the versions of agents' memory.

The entries are those of :mod:`headrace_agents.codec`, in the one map state of an agent's operator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from headrace.state.data_input import DataInput, Unreadable
from headrace.state.keyed import Entry
from headrace_agents import codec

SHARD_STATE = "python-state-shard"
"""As PyFlink names the map state ``shard`` (``headrace_agents.flink.state``)."""
KINDS = {
    codec.HEAD_KEY: "shards",
    codec.TASKS_KEY: "tasks",
    codec.SETTINGS_KEY: "settings",
    codec.INBOX: "inbox",
    codec.JOURNAL: "journal",
    codec.MEMORY: "memories",
    codec.REMINDERS: "reminders",
}
ONE_BYTE_KEY_GROUPS = 128
"""With more than these a key begins with two bytes for its group (``CompositeKeySerializationUtils``)."""
SHARD_AND_NAMESPACE = 1 + 4 + 1
"""A row's mask of nulls, its int, and the void namespace."""


@dataclass
class AgentState:
    """Sums; more can be added."""

    entries: Counter[str] = field(default_factory=Counter)
    """By kind: ``memories`` are business keys that the agent remembers something of."""
    memory_versions: Counter[int] = field(default_factory=Counter)
    """Schema version of the agent's memory -> how many were written with it."""
    unreadable: int = 0
    """Entries that today's format does not explain."""

    def add(self, entries: Iterable[Entry], max_parallelism: int) -> None:
        for entry in entries:
            if entry.state == SHARD_STATE:
                try:
                    self._add(entry, max_parallelism)
                except (Unreadable, codec.UnknownFormatError, ValueError, KeyError):
                    self.unreadable += 1

    def _add(self, entry: Entry, max_parallelism: int) -> None:
        kind = KINDS[_map_key(entry.key, max_parallelism)[:1]]
        if kind == "memories":
            self.memory_versions[codec.decode_memory(_map_value(entry.value)).schema_version] += 1
        self.entries[kind] += 1


def _map_key(key: bytes, max_parallelism: int) -> bytes:
    given = DataInput(key)
    given.take((1 if max_parallelism <= ONE_BYTE_KEY_GROUPS else 2) + SHARD_AND_NAMESPACE)
    return _bytes_of_python(given)


def _map_value(value: bytes) -> bytes:
    given = DataInput(value)
    if given.flag():
        raise Unreadable("a value is null")
    return _bytes_of_python(given)


def _bytes_of_python(given: DataInput) -> bytes:
    """Bytes as Flink has them, which are bytes as PyFlink's coder wrote them."""
    inner = DataInput(given.take(given.i32()))
    return inner.take(inner.i32())
