"""The agent operator, without Flink: events into the inbox, runs beside it, results out in one step.

Flink's function (:mod:`headrace_agents.flink.function`) calls it from one thread, shard by shard, with
that shard's state. What is kept in Python is only an image of the state plus the runs in flight, made
anew from the state when a shard is first touched after a restore.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from headrace_agents import codec
from headrace_agents.codec import InboxEntry
from headrace_agents.events import EventReader, Reading
from headrace_agents.records import InputRecord, Outcome, OutputRecord, Times, dead_letter_headers
from headrace_agents.runs import Clock, RunHandle, Runner, RunRequest, RunResult
from headrace_agents.spec import AgentJobSpec

SOFT_SLOWDOWN_S = 0.2
"""What a bundle is slowed by, at most and in all, above the inbox's soft bound."""

_TICK_PART_OF_WAIT = 8
_MAX_TICK_MS = 250


class ShardState(Protocol):
    """The state of the shard that is being worked on: one map of bytes."""

    def get(self, key: bytes) -> bytes | None: ...

    def put(self, key: bytes, value: bytes) -> None: ...

    def remove(self, key: bytes) -> None: ...


Schedule = Callable[[int], None]
"""Registers a processing-time timer (ms since the epoch) for the shard; it is part of Flink's state."""


@dataclass(slots=True)
class _Run:
    sequence: int
    entry: InboxEntry
    reading: Reading
    handle: RunHandle


@dataclass(slots=True)
class _Shard:
    """Image of one shard's inbox. Sequence numbers are in order of arrival."""

    following: int = 0
    unsettled: dict[int, None] = field(default_factory=dict)
    """Sequence numbers in the inbox, ascending."""
    queues: dict[bytes, deque[int]] = field(default_factory=dict)
    """Per business key, what is in the inbox; the first of each is in flight."""
    runs: dict[bytes, _Run] = field(default_factory=dict)
    """In flight or ended and not yet applied, by business key."""
    changed_at_ms: int = 0
    """When a run was last started or applied."""
    timer_at_ms: int | None = None
    """The next timer that this instance registered."""


class AgentOperator:
    """One subtask's share of an agent. Not thread-safe; the runner does what is concurrent.

    ``bundle_events`` is the most elements that Flink hands over in one bundle.
    """

    def __init__(
        self,
        spec: AgentJobSpec,
        reader: EventReader,
        runner: Runner,
        *,
        clock: Clock,
        bundle_events: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._spec = spec
        self._reader = reader
        self._runner = runner
        self._clock = clock
        self._slowdown_s = SOFT_SLOWDOWN_S / bundle_events
        self._sleep = sleep
        self._shards: dict[int, _Shard] = {}
        self.inbox_events = 0
        """In all inboxes of this subtask that were touched since the start."""

    def process(
        self, shard_id: int, record: InputRecord, state: ShardState, schedule: Schedule
    ) -> Iterator[OutputRecord]:
        """Takes one record in; gives what can be given out at once.

        An event that needs a run, or whose key has events in the inbox, waits there for its turn: a
        rejected one too, even a too large one, whose bytes its dead letter needs. Any other is settled
        here and never enters state.
        """
        shard = self._open(shard_id, state)
        yield from self._hold_back(shard, state)
        entry = InboxEntry(record, self._clock())
        reading = self._reader.read(record)
        key = reading.business_key
        if key is not None and (reading.work is not None or key in shard.queues):
            sequence = self._accept(shard, key, entry, state)
            if len(shard.queues[key]) == 1:
                self._start(shard, key, sequence, entry, reading, state)
        else:
            yield from self._settled(entry, reading)
        self._schedule(shard, schedule)

    def on_timer(
        self, shard_id: int, timestamp_ms: int, state: ShardState, schedule: Schedule
    ) -> Iterator[OutputRecord]:
        """Applies what has ended in the shard; the timer goes on for as long as its inbox is not empty.

        Raises what a run's handle raises, which fails the job: its state is as it was.
        """
        shard = self._open(shard_id, state)
        if shard.timer_at_ms is not None and timestamp_ms >= shard.timer_at_ms:
            shard.timer_at_ms = None
        yield from self._apply_ended(shard, state)
        self._schedule(shard, schedule)

    def close(self) -> None:
        self._runner.close()

    # The inbox

    def _open(self, shard_id: int, state: ShardState) -> _Shard:
        shard = self._shards.get(shard_id)
        if shard is None:
            shard = self._shards[shard_id] = _Shard(changed_at_ms=self._clock())
            self._restore(shard, state)
        return shard

    def _restore(self, shard: _Shard, state: ShardState) -> None:
        bounds = state.get(codec.BOUNDS_KEY)
        if bounds is None:
            return
        first, shard.following = codec.decode_bounds(bounds)
        heads: list[tuple[bytes, int, InboxEntry, Reading]] = []
        for sequence in range(first, shard.following):
            data = state.get(codec.inbox_key(sequence))
            if data is None:
                continue
            entry = codec.decode_entry(data)
            reading = self._reader.read(entry.record)
            key = reading.business_key or b""
            if key not in shard.queues:
                heads.append((key, sequence, entry, reading))
            self._enqueue(shard, key, sequence)
        for key, sequence, entry, reading in heads:
            self._start(shard, key, sequence, entry, reading, state)

    def _accept(self, shard: _Shard, key: bytes, entry: InboxEntry, state: ShardState) -> int:
        sequence = shard.following
        shard.following += 1
        self._enqueue(shard, key, sequence)
        state.put(codec.inbox_key(sequence), codec.encode_entry(entry))
        self._write_bounds(shard, state)
        return sequence

    def _enqueue(self, shard: _Shard, key: bytes, sequence: int) -> None:
        shard.unsettled[sequence] = None
        shard.queues.setdefault(key, deque()).append(sequence)
        self.inbox_events += 1

    def _leave(self, shard: _Shard, key: bytes, sequence: int, state: ShardState) -> None:
        del shard.unsettled[sequence]
        queue = shard.queues[key]
        queue.popleft()
        if not queue:
            del shard.queues[key]
        self.inbox_events -= 1
        state.remove(codec.inbox_key(sequence))
        self._write_bounds(shard, state)

    def _write_bounds(self, shard: _Shard, state: ShardState) -> None:
        first = next(iter(shard.unsettled), None)
        if first is None:
            shard.following = 0
            state.remove(codec.BOUNDS_KEY)
        else:
            state.put(codec.BOUNDS_KEY, codec.encode_bounds(first, shard.following))

    # Runs

    def _start(
        self, shard: _Shard, key: bytes, sequence: int, entry: InboxEntry, reading: Reading, state: ShardState
    ) -> None:
        """Starts the run of a key's first event; an event that needs none counts as a run that has ended."""
        handle: RunHandle = _NOTHING_TO_RUN
        if reading.work is not None:
            memory = state.get(codec.memory_key(key))
            handle = self._runner.start(
                RunRequest(key, entry.record.position, reading.committed_at_ms, reading.work, memory)
            )
        shard.runs[key] = _Run(sequence, entry, reading, handle)
        shard.changed_at_ms = self._clock()

    def _apply_ended(self, shard: _Shard, state: ShardState) -> Iterator[OutputRecord]:
        ended = [(key, run) for key, run in shard.runs.items() if run.handle.result is not None]
        for key, run in ended:
            yield from self._apply(shard, key, run, state)

    def _apply(self, shard: _Shard, key: bytes, run: _Run, state: ShardState) -> Iterator[OutputRecord]:
        """Applies a run and those after it that need no run; then the key's next event runs."""
        result = None if run.handle is _NOTHING_TO_RUN else run.handle.result
        del shard.runs[key]
        if result is not None and result.memory is not None:
            state.put(codec.memory_key(key), result.memory)
        self._leave(shard, key, run.sequence, state)
        shard.changed_at_ms = self._clock()
        yield from self._settled(run.entry, run.reading, result)
        while (queue := shard.queues.get(key)) is not None:
            sequence = queue[0]
            data = state.get(codec.inbox_key(sequence))
            if data is None:
                raise LookupError(f"the inbox has no event {sequence}, though its bounds say so")
            entry = codec.decode_entry(data)
            reading = self._reader.read(entry.record)
            if reading.work is not None:
                self._start(shard, key, sequence, entry, reading, state)
                return
            self._leave(shard, key, sequence, state)
            yield from self._settled(entry, reading)

    def _settled(
        self, entry: InboxEntry, reading: Reading, result: RunResult | None = None
    ) -> Iterator[OutputRecord]:
        """The records of an event that is done with: its decisions or its dead letter, and its outcome."""
        record, outputs = entry.record, self._spec.outputs
        rejected = reading.rejected if result is None else result.rejected
        decisions = () if result is None else result.decisions
        for decision in decisions:
            yield OutputRecord(outputs.decisions, record.key, decision.encode(), {})
        if rejected is not None:
            headers = dead_letter_headers(self._spec.name, record.position, rejected.reason, rejected.detail)
            yield OutputRecord(outputs.dead_letters, record.key, record.value, headers)
        outcome = Outcome(
            agent=self._spec.name,
            topic=record.position.topic,
            partition=record.position.partition,
            offset=record.position.offset,
            status="decided" if rejected is None else "dead_lettered",
            decisions=tuple(decision.id for decision in decisions),
            reason=None if rejected is None else rejected.reason,
            times=Times(
                committed_at_ms=reading.committed_at_ms,
                kafka_at_ms=record.timestamp_ms,
                accepted_at_ms=entry.accepted_at_ms,
                started_at_ms=None if result is None else result.started_at_ms,
                finished_at_ms=None if result is None else result.finished_at_ms,
                emitted_at_ms=self._clock(),
            ),
            model_calls=0 if result is None else result.model_calls,
        )
        yield OutputRecord(outputs.outcomes, record.key, outcome.encode(), {})

    # Timers and back pressure

    def _schedule(self, shard: _Shard, schedule: Schedule) -> None:
        """A shard with a non-empty inbox always has a timer, so that its runs start again after a restore.

        The longer nothing has happened, the rarer a look: a wait grows by an eighth at most.
        """
        if not shard.queues:
            return
        now, tick = self._clock(), self._spec.runtime.tick_ms
        quiet = (now - shard.changed_at_ms) // _TICK_PART_OF_WAIT
        at = now + max(tick, min(quiet, _MAX_TICK_MS))
        at += -at % tick
        if shard.timer_at_ms is None or at < shard.timer_at_ms:
            shard.timer_at_ms = at
            schedule(at)

    def _hold_back(self, shard: _Shard, state: ShardState) -> Iterator[OutputRecord]:
        limits = self._spec.limits
        if self.inbox_events >= limits.inbox_hard_events:
            self._runner.wait()
            yield from self._apply_ended(shard, state)
        elif self.inbox_events >= limits.inbox_soft_events:
            self._sleep(self._slowdown_s)


class _NothingToRun:
    """Handle of an event that waits its turn behind others of its key and then needs no run."""

    result = RunResult(0, 0, 0)


_NOTHING_TO_RUN = _NothingToRun()
