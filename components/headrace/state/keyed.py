"""Keyed state as snapshots describe it, and its entries where they are written in Flink's canonical format.

Follows ``org.apache.flink.runtime.state`` of Flink 2.3: ``KeyedBackendSerializationProxy`` (version 6),
``metainfo.StateMetaInfoSnapshotReadersWriters``, ``FullSnapshotAsyncWriter`` and ``FullSnapshotUtil``. A
serializer's snapshot does not say where it ends: one whose layout is not known here ends the reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headrace.state.data_input import DataInput, Unreadable

VERSION = 6
SERIALIZER_VERSION = 2
COMPOSITE_MAGIC, NESTED_MAGIC = 911108, 1333245
KINDS = ("keyed", "operator", "broadcast", "timers", "keyed")
"""``StateMetaInfoSnapshot.BackendStateType``, in words of ours."""
END_OF_KEY_GROUP = 0xFFFF
FOLLOWED = 0x80
"""Bit of a key's first byte: after this entry comes another state, or the key group's end."""

NO_CONTENT = frozenset(
    {
        "BooleanSerializer",
        "ByteArrayWrapperSerializer",
        "BytePrimitiveArraySerializer",
        "IntSerializer",
        "LongSerializer",
        "StringSerializer",
        "VoidNamespaceSerializer",
    }
)
OWN_CONTENT = {"MapSerializer": 0, "ListSerializer": 0, "TimerSerializer": 0, "RowSerializer": 1}
"""Serializers made of others: how many bytes of their own they write."""


@dataclass(frozen=True)
class KeyedStateInfo:
    name: str
    kind: str
    serializer: str
    """Of the values: ``MapSerializer<ByteArrayWrapperSerializer, BytePrimitiveArraySerializer>``."""


@dataclass(frozen=True)
class Description:
    key_serializer: str
    states: tuple[KeyedStateInfo, ...]
    compressed: bool


@dataclass(frozen=True)
class Entry:
    state: str
    key: bytes
    """Key group, key, namespace and, of a map, the map's key."""
    value: bytes


def read_description(given: DataInput) -> Description:
    """Read what stands before the entries.

    Raises:
        Unreadable: another version, or a serializer that is not known here.
    """
    if (version := given.i32()) != VERSION:
        raise Unreadable(f"keyed state is of version {version}; version {VERSION} is known")
    compressed = given.flag()
    key = _serializer(given)
    return Description(key, tuple(_state(given) for _ in range(given.u16())), compressed)


def entries(data: bytes, offsets: tuple[int, ...]) -> Iterator[Entry]:
    """Every entry of keyed state that was written in the canonical format.

    Raises:
        Unreadable: it is compressed, or is not in that format.
    """
    description = read_description(DataInput(data))
    if description.compressed:
        raise Unreadable("its entries are compressed")
    for offset in offsets:
        if offset:  # 0 stands for a key group with no entries
            yield from _key_group(DataInput(data[offset:]), description.states)


def _key_group(given: DataInput, states: tuple[KeyedStateInfo, ...]) -> Iterator[Entry]:
    state = given.u16()
    while state != END_OF_KEY_GROUP:
        if state >= len(states):
            raise Unreadable(f"an entry belongs to state {state} of {len(states)}")
        key, value = given.take(given.i32()), given.take(given.i32())
        followed = bool(key[0] & FOLLOWED)
        yield Entry(states[state].name, bytes([key[0] & ~FOLLOWED]) + key[1:], value)
        if followed:
            state = given.u16()


def _state(given: DataInput) -> KeyedStateInfo:
    name, kind = given.text(), given.i32()
    if not 0 <= kind < len(KINDS):
        raise Unreadable(f"state {name} is of kind {kind}, which is not known")
    for _ in range(given.count()):
        given.text(), given.text()  # an option and its value
    serializers = {given.text(): _serializer(given) for _ in range(given.count())}
    return KeyedStateInfo(name, KINDS[kind], serializers.get("VALUE_SERIALIZER", ""))


def _serializer(given: DataInput) -> str:
    if (version := given.i32()) != SERIALIZER_VERSION:
        raise Unreadable(f"a serializer is written in version {version}; {SERIALIZER_VERSION} is known")
    return _snapshot(given)


def _snapshot(given: DataInput) -> str:
    """``TypeSerializerSnapshot.writeVersionedSnapshot``; returns the serializer with those it is made of."""
    name = given.text()
    short = name.rpartition(".")[2].partition("$")[0].removesuffix("Snapshot")
    given.i32()  # version of the snapshot
    if short in NO_CONTENT:
        return short
    if short not in OWN_CONTENT:
        raise Unreadable(f"serializer {name} is not known")
    if given.i32() != COMPOSITE_MAGIC:
        raise Unreadable(f"serializer {name} has the wrong magic number")
    given.i32()  # version of its own content
    given.take(OWN_CONTENT[short])
    if given.i32() != NESTED_MAGIC or given.i32() != 1:
        raise Unreadable(f"the serializers that {name} is made of are written in another version")
    return f"{short}<{', '.join(_snapshot(given) for _ in range(given.count()))}>"
