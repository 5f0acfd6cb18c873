"""What a snapshot consists of, as its metadata says (:mod:`headrace.state.metadata`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class StoredFile:
    path: str
    """A whole path, ``s3://bucket/key``."""
    size: int


@dataclass(frozen=True)
class Inline:
    """Small state, kept in the metadata itself (below ``execution.checkpointing.data-inline-threshold``)."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


Stream = StoredFile | Inline


@dataclass(frozen=True)
class KeyedState:
    """Keyed state of one subtask."""

    kind: int
    first_key_group: int
    key_groups: int
    offsets: tuple[int, ...]
    """Where each key group begins in the stream; none for RocksDB's files."""
    description: Stream
    """Begins with the names and serializers of the states."""
    rocksdb: tuple[tuple[str, Stream], ...] = ()
    """RocksDB's files under their names on the subtask's disk, where the snapshot consists of them."""


@dataclass(frozen=True)
class ListState:
    """Operator state under its name: how it is spread over subtasks, and how many parts there are."""

    name: str
    distribution: str
    partitions: int


@dataclass(frozen=True)
class OperatorListState:
    states: tuple[ListState, ...]
    stream: Stream


@dataclass(frozen=True)
class Subtask:
    index: int
    operator: tuple[OperatorListState, ...] = ()
    keyed: tuple[KeyedState, ...] = ()
    raw_keyed: tuple[KeyedState, ...] = ()
    """Written by the operator itself, in a format of its own."""
    channels: tuple[Stream, ...] = ()
    """Records in flight, of an unaligned checkpoint."""

    def streams(self) -> Iterator[Stream]:
        for state in self.operator:
            yield state.stream
        for keyed in (*self.keyed, *self.raw_keyed):
            yield keyed.description
            yield from (stream for _, stream in keyed.rocksdb)
        yield from self.channels


@dataclass(frozen=True)
class Operator:
    id: str
    """32 hex digits."""
    name: str
    uid: str
    """As the job gave it; empty where Flink made the id by itself."""
    parallelism: int
    max_parallelism: int
    coordinator: Inline | None
    subtasks: tuple[Subtask, ...]

    def streams(self) -> Iterator[Stream]:
        if self.coordinator is not None:
            yield self.coordinator
        for subtask in self.subtasks:
            yield from subtask.streams()

    @property
    def size(self) -> int:
        return sum(stream.size for stream in self.streams())


@dataclass(frozen=True)
class Metadata:
    checkpoint: int
    operators: tuple[Operator, ...]

    def files(self) -> dict[str, int]:
        """Every file that is referred to: path -> size in bytes of what is referred to of it."""
        return {
            stream.path: stream.size
            for operator in self.operators
            for stream in operator.streams()
            if isinstance(stream, StoredFile)
        }

    @property
    def size(self) -> int:
        """Bytes of all it consists of; incremental checkpoints share most of theirs."""
        return sum(operator.size for operator in self.operators)
