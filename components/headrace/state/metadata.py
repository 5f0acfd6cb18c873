"""Flink's ``_metadata``: what a checkpoint or savepoint consists of, and every file that it refers to.

Follows the serializers of Flink 2.3, ``org.apache.flink.runtime.checkpoint``: ``Checkpoints``,
``metadata.MetadataV6Serializer`` (and V5, V4, V3, V2V3Base, which it extends) and
``metadata.ChannelStateHandleSerializerV2``. Version 6 is what Flink has written since 1.20.

A file that is not seen here would be taken for an orphan. So whatever is not known is refused: another
version, any other kind of handle (changelog, merged files), bytes that are left over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from headrace.state.data_input import DataInput, Unreadable
from headrace.state.snapshot import (
    Inline,
    KeyedState,
    ListState,
    Metadata,
    Operator,
    OperatorListState,
    StoredFile,
    Stream,
    Subtask,
)

T = TypeVar("T")

MAGIC = 0x4960672D
VERSION = 6
MASTER_STATE_MAGIC = 0xC96B1696 - (1 << 32)
PROPERTIES = b"\xac\xed\0\5sr" + b"\0\x38" + b"org.apache.flink.runtime.checkpoint.CheckpointProperties"
"""How Java's serialization begins an object of that class, which ends the metadata."""

NOTHING = 0
BYTES, FILE, RELATIVE_FILE = 1, 2, 6
PARTITIONABLE = 4
SAVEPOINT_KEY_GROUPS, INCREMENTAL, KEY_GROUPS = 7, 11, 12
INPUT_CHANNEL, RESULT_SUBPARTITION, MERGED_INPUT, MERGED_RESULT = 1, 2, 3, 4
DISTRIBUTIONS = ("split", "union", "broadcast")


def read_metadata(data: bytes, folder: str) -> Metadata:
    """Read a whole `_metadata` that lies in `folder`, a path that files may be given relative to.

    Raises:
        Unreadable: it is not what Flink 2.3 writes, or holds a kind of handle that is not known here.
    """
    return _Reader(DataInput(data), folder).metadata()


class _Reader:
    def __init__(self, given: DataInput, folder: str) -> None:
        self._in = given
        self._folder = folder.rstrip("/")

    def metadata(self) -> Metadata:
        magic, version = self._in.i32(), self._in.i32()
        if magic != MAGIC:
            raise Unreadable(f"it begins with {magic:#x}, Flink's metadata with {MAGIC:#x}")
        if version != VERSION:
            raise Unreadable(f"it is of version {version}; version {VERSION} is known")
        checkpoint = self._in.i64()
        self._repeat(self._master_state)
        read = Metadata(checkpoint, self._repeat(self._operator))
        if self._in.take(min(len(PROPERTIES), self._in.rest)) != PROPERTIES:
            raise Unreadable("CheckpointProperties do not follow the operators")
        return read

    def _repeat(self, read: Callable[[], T]) -> tuple[T, ...]:
        return tuple(read() for _ in range(self._in.count()))

    def _master_state(self) -> None:
        if self._in.i32() != MASTER_STATE_MAGIC:
            raise Unreadable("a master state has the wrong magic number")
        self._in.take(self._in.count())

    def _operator(self) -> Operator:
        name, uid = self._in.text(), self._in.text()
        identity = self._in.take(16).hex()
        parallelism, max_parallelism = self._in.i32(), self._in.i32()
        coordinator = self._stream()
        if isinstance(coordinator, StoredFile):
            raise Unreadable(f"operator {name}: the coordinator's state is in a file")
        subtasks = self._in.i32()
        if subtasks > self._in.rest:
            raise Unreadable(f"operator {name}: {subtasks} subtasks in {self._in.rest} bytes")
        # A negative number stands for an operator that has finished, which has no state.
        read = tuple(self._subtask() for _ in range(max(subtasks, 0)))
        return Operator(identity, name, uid, parallelism, max_parallelism, coordinator, read)

    def _subtask(self) -> Subtask:
        index = self._in.i32()
        if index < 0:  # it has finished: -(index + 1)
            return Subtask(-index - 1)
        operator = [self._operator_state() for _ in range(2) if self._in.i32() != 0]
        keyed, raw_keyed = self._keyed_state(), self._keyed_state()
        channels = (*self._repeat(self._input_channel), *self._repeat(self._result_subpartition))
        return Subtask(
            index,
            tuple(state for state in operator if state is not None),
            (keyed,) if keyed else (),
            (raw_keyed,) if raw_keyed else (),
            tuple(stream for stream in channels if stream is not None),
        )

    def _operator_state(self) -> OperatorListState | None:
        kind = self._in.u8()
        if kind == NOTHING:
            return None
        if kind != PARTITIONABLE:
            raise _unknown("operator state", kind)
        states = self._repeat(self._list_state)
        return OperatorListState(states, self._needed("operator state"))

    def _list_state(self) -> ListState:
        name, mode = self._in.text(), self._in.u8()
        if mode >= len(DISTRIBUTIONS):
            raise _unknown("distribution of operator state", mode)
        return ListState(name, DISTRIBUTIONS[mode], len(self._repeat(self._in.i64)))

    def _keyed_state(self) -> KeyedState | None:
        kind = self._in.u8()
        if kind == NOTHING:
            return None
        if kind == INCREMENTAL:
            return self._incremental()
        if kind not in (KEY_GROUPS, SAVEPOINT_KEY_GROUPS):
            raise _unknown("keyed state", kind)
        first, groups = self._in.i32(), self._in.count()
        offsets = tuple(self._in.i64() for _ in range(groups))
        stream = self._needed("keyed state")
        if kind == KEY_GROUPS:
            self._in.text()  # the handle's own id
        return KeyedState(kind, first, groups, offsets, stream)

    def _incremental(self) -> KeyedState:
        self._in.i64()  # the checkpoint
        self._in.text()  # the backend's id
        first, groups = self._in.i32(), self._in.i32()
        self._in.i64()  # size of what this checkpoint added
        description = self._needed("keyed state")
        shared, private = self._repeat(self._named_stream), self._repeat(self._named_stream)
        self._in.text()  # the handle's own id
        return KeyedState(INCREMENTAL, first, groups, (), description, (*shared, *private))

    def _named_stream(self) -> tuple[str, Stream]:
        name = self._in.text()
        return name, self._needed(name)

    def _input_channel(self) -> Stream | None:
        return self._channel(INPUT_CHANNEL, MERGED_INPUT)

    def _result_subpartition(self) -> Stream | None:
        return self._channel(RESULT_SUBPARTITION, MERGED_RESULT)

    def _channel(self, single: int, merged: int) -> Stream | None:
        kind = self._in.u8()
        if kind not in (single, merged):
            raise _unknown("records in flight", kind)
        self._in.i32()  # subtask
        if kind == merged:
            self._in.i64()  # size
            stream = self._stream()
            self._in.take(self._in.count())  # offsets, serialized
            return stream
        self._in.take(8)  # gate and channel
        self._repeat(self._in.i64)  # offsets
        self._in.i64()  # size
        return self._stream()

    def _needed(self, of: str) -> Stream:
        stream = self._stream()
        if stream is None:
            raise Unreadable(f"{of} has no stream")
        return stream

    def _stream(self) -> Stream | None:
        kind = self._in.u8()
        if kind == NOTHING:
            return None
        if kind == BYTES:
            self._in.text()  # a name that only tells handles apart
            return Inline(self._in.take(self._in.i32()))
        if kind == FILE:
            size = self._in.i64()
            return StoredFile(self._in.text(), size)
        if kind == RELATIVE_FILE:
            path = self._in.text()
            return StoredFile(f"{self._folder}/{path}", self._in.i64())
        raise _unknown("state handle", kind)


def _unknown(what: str, kind: int) -> Unreadable:
    return Unreadable(f"{what} of kind {kind} is not known")
