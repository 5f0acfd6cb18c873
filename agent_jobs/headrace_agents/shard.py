"""Image of one shard's state: made from the state when the shard is first touched, kept equal to it.

Sequence numbers of the inbox are in order of arrival. What is kept here alone are the runs in flight.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace_agents import codec
from headrace_agents.catching_up import DecidedBefore
from headrace_agents.codec import AS_DECLARED, Head, InboxEntry, SettingsVersion
from headrace_agents.events import Reading
from headrace_agents.journal import Written
from headrace_agents.records import Position
from headrace_agents.runs import RunHandle

if TYPE_CHECKING:
    from headrace_agents.tasks import Task


class ShardState(Protocol):
    """The state of the shard that is being worked on: one map of bytes."""

    def get(self, key: bytes) -> bytes | None: ...

    def prefetch(self, key: bytes) -> None:
        """The key will be read before the bundle ends."""

    def put(self, key: bytes, value: bytes) -> None: ...

    def remove(self, key: bytes) -> None: ...

    def list_keys(self) -> Iterable[bytes]:
        """All of them; for what goes through the whole shard."""


@dataclass(slots=True)
class Run:
    """In flight, or ended and not yet applied."""

    sequence: int
    entry: InboxEntry
    reading: Reading
    handle: RunHandle | None
    """None until the bundle ends that took the event to the head of its key."""
    kept_steps: int
    """Journal entries of it in state."""
    decided_before: DecidedBefore | None = None
    """By another version: it puts nothing out."""
    seen_steps: int = 0
    """Of those that this attempt finished, how many are among them."""


class Waiting(NamedTuple):
    """In the inbox."""

    size: int
    """Bytes of its key and value."""
    accepted_at_ms: int


@dataclass(slots=True)
class Shard:
    id: int
    """Flink's key."""
    index: int
    opened_at_ms: int
    following: int = 0
    held_from: int | None = None
    journal_offset: int | None = None
    restored_below: int = 0
    """Of events with a lower number state may hold steps from before a failure."""
    unsettled: dict[int, Waiting] = field(default_factory=dict)
    """By sequence number, ascending."""
    held_topics: set[str] = field(default_factory=set)
    """Whose events wait, since one of them did not fit; forgotten at a restart, which may have mended it."""
    queues: dict[bytes, deque[int]] = field(default_factory=dict)
    """Per business key, what is in the inbox; only the first of each runs."""
    runs: dict[bytes, Run] = field(default_factory=dict)
    """By business key."""
    ended: list[bytes] = field(default_factory=list)
    """Keys whose run has ended and is not applied yet."""
    tail: dict[Position, list[Written]] = field(default_factory=dict)
    """Steps that were written ahead, of events that the source is to bring again."""
    tasks: list[Task] = field(default_factory=list)
    swept_at_ms: int = 0
    settings: SettingsVersion = AS_DECLARED
    """Of runs that start from now on."""
    timers: set[int] = field(default_factory=set)
    """Those that this instance registered for the shard and that have not fired, but for reminders."""
    _written_head: bytes | None = None

    def restore_head(self, state: ShardState) -> Head:
        data = state.get(codec.HEAD_KEY)
        head = Head() if data is None else codec.decode_head(data)
        self.following, self.restored_below = head.following, head.following
        self.held_from, self.journal_offset = head.held_from, head.journal_offset
        self._written_head = data
        return head

    def write_head(self, state: ShardState) -> None:
        """Where it is not as written."""
        if not self.unsettled and self.held_from is None:
            # Small numbers again; none of the inbox's are in use.
            self.following = self.restored_below = 0
        head = Head(
            next(iter(self.unsettled), self.following), self.following, self.held_from, self.journal_offset
        )
        data = None if head == Head() else codec.encode_head(head)
        if data == self._written_head:
            return
        self._written_head = data
        if data is None:
            state.remove(codec.HEAD_KEY)
        else:
            state.put(codec.HEAD_KEY, data)

    def enqueue(self, key: bytes, sequence: int, waiting: Waiting) -> None:
        self.unsettled[sequence] = waiting
        self.queues.setdefault(key, deque()).append(sequence)

    def dequeue(self, key: bytes, sequence: int) -> int:
        """Takes a key's first event out of the image; returns its bytes."""
        queue = self.queues[key]
        if queue[0] != sequence:
            raise LookupError(f"event {sequence} is not the first of its key, {queue[0]} is")
        queue.popleft()
        if not queue:
            del self.queues[key]
        return self.unsettled.pop(sequence).size

    def oldest_accepted_at_ms(self) -> int | None:
        """Of what is in the inbox."""
        oldest = next(iter(self.unsettled.values()), None)
        return None if oldest is None else oldest.accepted_at_ms

    def may_start(self, sequence: int) -> bool:
        return (self.held_from is None or sequence < self.held_from) and not self.winds_down

    @property
    def winds_down(self) -> bool:
        return any(task.kind == "wind_down" for task in self.tasks)

    def take_ended(self) -> list[bytes]:
        ended, self.ended = self.ended, []
        return ended


def read_entry(state: ShardState, sequence: int) -> InboxEntry:
    data = state.get(codec.inbox_key(sequence))
    if data is None:
        raise LookupError(f"the inbox has no event {sequence}, though the shard's head says so")
    return codec.decode_entry(data)


def size_of(entry: InboxEntry) -> int:
    return len(entry.record.key or b"") + len(entry.record.value or b"")
