"""The agent operator, without Flink: events into the inbox, runs beside it, results out in one step.

Flink's function (:mod:`headrace_agents.flink.function`) calls it from one thread, shard by shard, with
that shard's state. What is kept in Python is only an image of the state plus the runs in flight, made
anew from the state when a shard is first touched after a restore.

Timers: one, of whichever shard, is for a look at all shards of the subtask; each shard has a sparse one of
its own beside, so that it wakes after a restore. All of these are at even milliseconds and those of
reminders at odd ones, so that a look never has to ask the state whether a reminder is due.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from headrace_agents import codec
from headrace_agents.agent import LoadedAgent, SettingsError
from headrace_agents.catching_up import DecidedBefore, caught_up, decided_before, is_note
from headrace_agents.codec import AS_DECLARED, Head, InboxEntry, JournalEntry, SettingsVersion, StoredReminder
from headrace_agents.configuration import Configurations, canonical
from headrace_agents.control import Command, Problem, SettingsChange
from headrace_agents.events import EventReader, Reading, RejectedError, Work
from headrace_agents.figures import Counts, counter, counts, gauge
from headrace_agents.journal import Journal
from headrace_agents.memory import MemoryFormat
from headrace_agents.records import (
    MAX_DETAIL,
    EventRef,
    InputRecord,
    Outcome,
    OutputRecord,
    Position,
    Status,
    Times,
    dead_letter_headers,
    key_hash,
)
from headrace_agents.run_log import RunLog, run_id
from headrace_agents.runs import Clock, DueReminder, RunHandle, Runner, RunRequest, RunResult
from headrace_agents.shard import Run, Shard, ShardState, Waiting, read_entry, size_of
from headrace_agents.shards import shard_ids
from headrace_agents.spec import AgentJobSpec
from headrace_agents.tasks import Task, Workbench, restore_tasks, save_tasks

log = logging.getLogger(__name__)

SOFT_SLOWDOWN_S = 0.2
"""What a bundle is slowed by, at most and in all, above the inbox's soft bound."""

_BEYOND_DEADLINE_S = 10.0
"""So much longer than a run may take one is waited for at the inbox's hard bound."""
_TICK_PART_OF_WAIT = 8
_MAX_TICK_MS = 250
_MISFITS = ("malformed", "no_key")
"""Reasons of dead letters that a change of the table's schema leads to."""
_NO_KEY = b""
"""Where what has no key that can be read waits, of a table that is held."""
_UNKNOWN_MS = 0
"""Since when there may be steps of a shard in the journal, where no offset says it."""
_DISTANT_MS = 15_000
"""Between timers that every shard has: longer than any bundle takes."""
_WAKE_MS = 1_000
"""How soon a shard with an event that waits for its run wakes by itself after a restore, at the latest."""
_LOOKED_UP = 10_000
"""Numbers of the inbox that are looked for one by one at a restore."""
_SWEEPS_IN_EXPIRY = 10
_WIND_DOWN_SLACK_MS = 60_000
"""Beyond the last run's deadline: for who stops the job then."""
_TAIL_KEPT_MS = 3_600_000
_SWEEP_MIN_MS, _SWEEP_MAX_MS = 60_000, 3_600_000

Schedule = Callable[[int], None]
"""Registers a processing-time timer (ms since the epoch) for the current shard; Flink keeps it as state."""

Select = Callable[[int], None]
"""Makes a shard of this subtask the current one: state and timers are its."""


class _Start(NamedTuple):
    """A run to be started when the bundle ends."""

    shard: Shard
    key: bytes
    run: Run
    work: Work
    journal: Sequence[JournalEntry]


@dataclass(slots=True)
class Figures:
    """Of the subtask and its events."""

    processor_ms: int = counter("Milliseconds of processor time of the worker, of all its threads.")
    inbox_events: int = gauge("Events in the inboxes of the subtask's shards.")
    inbox_bytes: int = gauge("Bytes of their keys and values.")
    inbox_oldest_ms: int = gauge("Milliseconds since the oldest of them was accepted; 0 where there is none.")
    tables_held: int = gauge(
        "Tables whose events wait in one of the subtask's shards, since one of them did not fit the agent."
    )
    shards: int = gauge("Shards of the subtask.")
    events_settled: int = counter("Events that got their outcome.")
    decisions: Counts = counts("kind", "Decisions that were put out.")
    dead_letters: Counts = counts("reason", "Events that became dead letters.")
    events_erased: int = counter("Events whose key was erased before they were decided.")
    events_caught_up: int = counter(
        "Events that another version had decided before a rollback, and that are in memory now."
    )
    events_not_caught_up: int = counter(
        "Such events that changed no memory, as a step of theirs is not in the journal or the agent failed."
    )
    steps_read_back: int = counter("Steps of unfinished runs that a failure did not repeat.")
    runs_completed: int = counter("Runs that ended with decisions or a dead letter, and were applied.")
    runs_abandoned: int = counter("Runs that were ended before, as their key was erased.")
    soft_bound_slowdowns: int = counter("Events that were slowed down at the inbox's soft bound.")
    hard_bound_waits: int = counter(
        "Events that waited for a run to end because the inbox was at its hard bound."
    )
    settings_version: int = gauge("The highest version of the settings in force for a shard; 0: as declared.")
    settings_refused: int = gauge(
        "1: this code does not take the settings that were set; runs go on with those that are declared."
    )


class AgentOperator:
    """One subtask's share of an agent. Not thread-safe; the runner does what is concurrent.

    ``bundle_events`` is the most elements that Flink hands over in one bundle; ``own`` are the ids of the
    subtask's shards, empty where timers are kept well and shards may be opened one by one. ``tell`` is given
    the log of each run that has ended.

    Of the timers that a bundle registers, those may be missing in a checkpoint that ends this bundle (Flink
    2.3 registers them only after it). So no event may depend on one of them after a failure: the first
    element or timer of an instance opens all of its shards, each shard has a timer from long before, and
    reminders are registered again.
    """

    def __init__(  # noqa: PLR0913 - what is around the operator, each by name
        self,
        spec: AgentJobSpec,
        agent: LoadedAgent,
        runner: Runner,
        *,
        clock: Clock,
        bundle_events: int,
        select: Select,
        own: Sequence[int] = (),
        journal: Journal | None = None,
        tell: Callable[[RunLog], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._spec = spec
        self._reader = EventReader(spec, agent)
        self._held_at_misfit = {topic.topic for topic in spec.inputs if topic.on_misfit == "hold"}
        self._runner = runner
        self._journal = journal
        self._tell = tell
        self._clock = clock
        self._slowdown_s = SOFT_SLOWDOWN_S / bundle_events
        self._longest_wait_s = spec.limits.run_deadline_ms / 1000 + _BEYOND_DEADLINE_S
        self._is_stalled = False
        """No run has ended since one was waited for longer than any takes: all wait for something else."""
        self._select = select
        self._unopened = list(own)
        self._timers_may_be_lost = bool(own)
        self._sets_reminders = bool(agent.reminders)
        self._unarmed: list[Shard] = []
        """Shards whose reminders are to be registered again, since a failure may have lost some timers."""
        self._sleep = sleep
        self._memory = memory_format(spec, agent)
        self._configurations = Configurations(agent)
        self._workbench = Workbench(spec, self._reader, self._memory, self, clock)
        self._index_of = {
            id_: index for index, id_ in enumerate(shard_ids(spec.shards, spec.max_parallelism))
        }
        self._shards: dict[int, Shard] = {}
        self._to_start: list[_Start] = []
        self._in_flight: dict[RunHandle, tuple[Shard, bytes]] = {}
        self._postponed: dict[tuple[int, bytes], Shard] = {}
        """Keys, by shard's id, whose next event may start, in the order of their turns: runs are no more
        than the inbox may have events. After a long hold or pause far more wait."""
        self._holding: set[int] = set()
        """Ids of shards that hold a table."""
        self._working: dict[int, Shard] = {}
        """Shards with tasks, by id."""
        self._changed_at_ms = clock()
        """When a run was last started or applied."""
        self._look_at_ms: int | None = None
        """The next timer of any shard at which all are looked at."""
        self.figures = Figures()

    def process(
        self, shard_id: int, record: InputRecord, state: ShardState, schedule: Schedule
    ) -> Iterator[OutputRecord]:
        """Takes one record in; gives what can be given out at once."""
        yield from self._open_own(shard_id, state, schedule)
        shard = yield from self._open(shard_id, record.timestamp_ms, state)
        if record.position.topic == self._spec.feedback.control:
            yield from self._command(shard, record, state)
        else:
            yield from self._hold_back(shard, state, schedule)
            yield from self._take(shard, record, state)
        self._schedule(shard, schedule)

    def on_timer(
        self, shard_id: int, timestamp_ms: int, state: ShardState, schedule: Schedule
    ) -> Iterator[OutputRecord]:
        """Takes reminders that are due in; applies what has ended and goes on with tasks, in all shards.

        Raises what a run's handle raises, which fails the job: its state is as it was.
        """
        yield from self._open_own(shard_id, state, schedule)
        shard = yield from self._open(shard_id, _UNKNOWN_MS, state)
        shard.timers.discard(timestamp_ms)
        if self._look_at_ms is not None and timestamp_ms >= self._look_at_ms:
            self._look_at_ms = None
        if is_of_reminders(timestamp_ms):
            yield from self._remind(shard, timestamp_ms, state)
        yield from self._look(shard, state, schedule)
        self._schedule(shard, schedule)

    def end_bundle(self, state: ShardState) -> None:
        """Starts what the bundle's events and timers are to start: by now memory is there, asked for before.

        Flink's function calls it after the last of a bundle, and leaves the current shard to it.
        """
        to_start, self._to_start = self._to_start, []
        to_start.sort(key=_by_shard)
        for start in to_start:
            self._select(start.shard.id)
            start.run.handle = handle = self._runner.start(_request(start, state))
            self._in_flight[handle] = start.shard, start.key

    @property
    def is_idle(self) -> bool:
        """Nothing is under way that a timer is to look at."""
        return not (self._in_flight or self._working or self._postponed)

    def refresh_figures(self) -> None:
        """Those that are not kept up with every event."""
        self.figures.processor_ms = time.process_time_ns() // 1_000_000
        accepted = (shard.oldest_accepted_at_ms() for shard in self._shards.values())
        oldest = min((at for at in accepted if at is not None), default=None)
        self.figures.inbox_oldest_ms = 0 if oldest is None else max(0, self._clock() - oldest)
        self.figures.tables_held = len(set().union(*(shard.held_topics for shard in self._shards.values())))

    def close(self) -> None:
        self._runner.close()

    def _open_own(self, current_id: int, state: ShardState, schedule: Schedule) -> Iterator[OutputRecord]:
        """Whatever an instance is given first, all of its shards go on from where they were."""
        if not self._unopened:
            return
        unopened, self._unopened = self._unopened, []
        for shard_id in unopened:
            self._select(shard_id)
            shard = yield from self._open(shard_id, _UNKNOWN_MS, state)
            self._schedule(shard, schedule)
        self._select(current_id)

    def _arm_reminders(self, state: ShardState, schedule: Schedule) -> None:
        """Of one shard: each look at most one, since it goes through all keys of it."""
        if self._unarmed:
            self._select(self._unarmed.pop().id)
            for key in state.list_keys():
                if key[:1] == codec.REMINDERS:
                    schedule(codec.due_at_ms(key))

    def _look(self, current: Shard, state: ShardState, schedule: Schedule) -> Iterator[OutputRecord]:
        """At every shard with something to apply, to keep or to go on with, and at the current one."""
        self._plan_sweep(current)
        ended = self._ended()
        stepped = {shard.id: shard for shard in self._stepped()}
        for shard in {**ended, **stepped, **self._working, current.id: current}.values():
            self._select(shard.id)
            # Asked before steps are kept: all below it is then kept, or its run is applied.
            collected = self._collected_until(shard)
            for key in shard.take_ended():
                yield from self._apply(shard, key, state, schedule)
            for run in shard.runs.values():
                self._keep_steps(run, state)
            if not shard.runs:
                collected = self._collected_until(shard)
            if collected is not None:
                self._note_journal(shard, collected, state)
            if shard.tasks:
                yield from self._work(shard, state)
            if shard is not current:
                self._schedule(shard, schedule)
        yield from self._start_postponed(state, schedule)
        self._arm_reminders(state, schedule)
        self._select(current.id)

    def _collected_until(self, shard: Shard) -> int | None:
        return None if self._journal is None else self._journal.collected_until(shard.index)

    def _ended(self) -> dict[int, Shard]:
        """Shards with runs that have ended and are not applied yet."""
        shards: dict[int, Shard] = {}
        for handle in self._runner.take_ended():
            # A run that was cancelled is nobody's any more.
            self._is_stalled = False
            if (owner := self._in_flight.pop(handle, None)) is not None:
                shard, key = owner
                shard.ended.append(key)
                shards[shard.id] = shard
        return shards

    def _stepped(self) -> Iterator[Shard]:
        """Shards of runs in flight that finished a step which state does not have yet."""
        for handle in self._runner.take_stepped():
            if (owner := self._in_flight.get(handle)) is not None:
                shard, _ = owner
                yield shard

    # The inbox

    def _open(self, shard_id: int, since_ms: int, state: ShardState) -> Generator[OutputRecord, None, Shard]:
        shard = self._shards.get(shard_id)
        if shard is None:
            now = self._clock()
            shard = Shard(shard_id, self._index_of[shard_id], opened_at_ms=now, swept_at_ms=now)
            self._shards[shard_id] = shard
            self.figures.shards += 1
            yield from self._restore(shard, since_ms, state)
        return shard

    def _restore(self, shard: Shard, since_ms: int, state: ShardState) -> Iterator[OutputRecord]:
        head = shard.restore_head(state)
        if self._sets_reminders:
            self._unarmed.append(shard)
        for sequence in _may_be_unsettled(head, state):
            if (data := state.get(codec.inbox_key(sequence))) is not None:
                entry = codec.decode_entry(data)
                since_ms = min(since_ms, entry.record.timestamp_ms)
                key = self._reader.business_key(entry.record.key) or _NO_KEY
                self._enqueue(shard, key, sequence, entry)
        if self._journal is not None:
            for written in self._journal.tail(shard.index, head.journal_offset, since_ms):
                shard.tail.setdefault(written.position, []).append(written)
            for sequence in shard.unsettled if shard.tail else ():
                record = read_entry(state, sequence).record
                _keep_tail(shard, sequence, record, self._reader.read(record), state)
            if (collected := self._collected_until(shard)) is not None:
                self._note_journal(shard, collected, state)
        self._restore_settings(shard, state)
        if tasks := restore_tasks(state):
            shard.tasks = tasks
            self._working[shard.id] = shard
        for key in list(shard.queues):
            yield from self._advance(shard, key, state)

    def _restore_settings(self, shard: Shard, state: ShardState) -> None:
        """What other code does not take is left aside, not lost: runs go on as declared, and it is told."""
        data = state.get(codec.SETTINGS_KEY)
        if data is None:
            return
        settings = codec.decode_settings(data)
        try:
            self._configurations.instance(settings.patch)
        except SettingsError:
            self.figures.settings_refused = 1
            log.exception("version %d of the settings is not in force", settings.version)
        else:
            shard.settings = settings
            self.figures.settings_version = max(self.figures.settings_version, settings.version)

    def _note_journal(self, shard: Shard, collected_until: int, state: ShardState) -> None:
        """Notes that state holds what the journal says below an offset; not while it does not.

        What is left of the tail belongs to events that the source brings again at once, so what is left
        after a long time belongs to none.
        """
        if shard.tail and self._clock() - shard.opened_at_ms < _TAIL_KEPT_MS:
            return
        shard.tail.clear()
        if collected_until > (shard.journal_offset or -1):
            shard.journal_offset = collected_until
            shard.write_head(state)

    def _take(self, shard: Shard, record: InputRecord, state: ShardState) -> Iterator[OutputRecord]:
        """An event that needs a run, or whose key has events in the inbox, waits there for its turn: a
        rejected one too, even a too large one, whose bytes its dead letter needs. Any other is settled
        here and never enters state.
        """
        reading = self._reader.read(record)
        tail = shard.tail.get(reading.position)
        entry = InboxEntry(record, tail[0].accepted_at_ms if tail else self._clock())
        key = reading.business_key
        if self._is_misfit(record, reading.rejected):
            self._hold(shard, record, reading.rejected)
            key = key or _NO_KEY
        elif key is None or (reading.work is None and key not in shard.queues):
            before = decided_before(written.entry for written in shard.tail.pop(record.position, ()))
            yield from self._settled(shard, entry, reading, None, before=before)
            return
        sequence = shard.following
        shard.following += 1
        is_first = key not in shard.queues
        self._enqueue(shard, key, sequence, entry)
        state.put(codec.inbox_key(sequence), codec.encode_entry(entry))
        _keep_tail(shard, sequence, record, reading, state)
        shard.write_head(state)
        if is_first and shard.may_start(sequence) and record.position.topic not in shard.held_topics:
            self._start(shard, key, sequence, entry, reading, state)

    def _enqueue(self, shard: Shard, key: bytes, sequence: int, entry: InboxEntry) -> None:
        size = size_of(entry)
        shard.enqueue(key, sequence, Waiting(size, entry.accepted_at_ms))
        self.figures.inbox_events += 1
        self.figures.inbox_bytes += size

    def _leave(self, shard: Shard, key: bytes, sequence: int, kept_steps: int, state: ShardState) -> None:
        self.figures.inbox_bytes -= shard.dequeue(key, sequence)
        self.figures.inbox_events -= 1
        state.remove(codec.inbox_key(sequence))
        for number in range(kept_steps):
            state.remove(codec.journal_key(sequence, number))
        shard.write_head(state)

    # Runs

    def _advance(self, shard: Shard, key: bytes, state: ShardState) -> Iterator[OutputRecord]:
        """Settles a key's first events that need no run, and starts the first one that does."""
        while (queue := shard.queues.get(key)) is not None:
            sequence = queue[0]
            if not shard.may_start(sequence):
                return
            entry = read_entry(state, sequence)
            if entry.record.position.topic in shard.held_topics:
                return
            reading = self._reader.read(entry.record)
            if reading.work is not None:
                self._start(shard, key, sequence, entry, reading, state)
                return
            if self._is_misfit(entry.record, reading.rejected):
                self._hold(shard, entry.record, reading.rejected)
                return
            kept = kept_steps(shard, sequence, state)
            self._leave(shard, key, sequence, len(kept), state)
            yield from self._settled(shard, entry, reading, None, before=decided_before(kept))

    def _is_misfit(self, record: InputRecord, rejected: RejectedError | None) -> bool:
        """Whether it is to be held: a change of such a table that the agent can't be given as it is."""
        return (
            rejected is not None
            and rejected.reason in _MISFITS
            and record.position.topic in self._held_at_misfit
        )

    def _hold(self, shard: Shard, record: InputRecord, why: RejectedError | None) -> None:
        if record.position.topic not in shard.held_topics:
            log.warning("events of %s are held from %s on: %s", record.position.topic, record.position, why)
            shard.held_topics.add(record.position.topic)
            self._holding.add(shard.id)

    def _start(
        self, shard: Shard, key: bytes, sequence: int, entry: InboxEntry, reading: Reading, state: ShardState
    ) -> None:
        if reading.work is None:
            raise AssertionError("only an event that a handler is to see is run")
        if not self._has_room or (self._postponed and (shard.id, key) not in self._postponed):
            self._postponed.setdefault((shard.id, key), shard)
            return
        self._postponed.pop((shard.id, key), None)
        known = kept_steps(shard, sequence, state)
        self.figures.steps_read_back += len(known)
        shard.runs[key] = run = Run(sequence, entry, reading, None, len(known), decided_before(known))
        state.prefetch(codec.memory_key(key))
        self._to_start.append(_Start(shard, key, run, reading.work, known))
        self._changed_at_ms = self._clock()

    @property
    def _has_room(self) -> bool:
        """For one run more: with its event and its memory it is in Python's memory."""
        return len(self._in_flight) + len(self._to_start) < self._spec.limits.inbox_hard_events

    def _start_postponed(self, state: ShardState, schedule: Schedule) -> Iterator[OutputRecord]:
        """As many as there is room for; what is still under way for others will come back here."""
        while self._postponed and self._has_room:
            (shard_id, key), shard = next(iter(self._postponed.items()))
            self._select(shard_id)
            if key not in shard.runs:
                yield from self._advance(shard, key, state)
            # It was held, erased or settled meanwhile where it is still there.
            self._postponed.pop((shard_id, key), None)
            self._schedule(shard, schedule)

    def _keep_steps(self, run: Run, state: ShardState) -> None:
        finished = () if run.handle is None else run.handle.finished_steps
        while run.seen_steps < len(finished):
            _keep(run, finished[run.seen_steps], state)
            run.seen_steps += 1

    def _apply(
        self, shard: Shard, key: bytes, state: ShardState, schedule: Schedule
    ) -> Iterator[OutputRecord]:
        """Applies a run, all of it in one step of the operator; then the key's next event runs."""
        run = shard.runs.pop(key)
        result = None if run.handle is None else run.handle.result
        if result is None:
            raise AssertionError("a run that was taken as ended has ended")
        if self._is_misfit(run.entry.record, result.rejected):
            # Its row was not read, so that nothing was done: it is again what it was before it was started.
            self._hold(shard, run.entry.record, result.rejected)
            return
        if result.memory is not None:
            state.put(codec.memory_key(key), result.memory)
        for due in result.reminders:
            _set_reminder(due, state, schedule)
        self._leave(shard, key, run.sequence, run.kept_steps, state)
        self._changed_at_ms = self._clock()
        self.figures.runs_completed += 1
        yield from self._settled(shard, run.entry, run.reading, result, before=run.decided_before)
        yield from self._advance(shard, key, state)

    def _remind(self, shard: Shard, due_at_ms: int, state: ShardState) -> Iterator[OutputRecord]:
        """Reminders become events of their keys. They come in above the inbox's bounds, too."""
        entry = codec.reminders_key(due_at_ms)
        data = state.get(entry)
        if data is None:
            return
        state.remove(entry)
        for reminder in codec.decode_reminders(data):
            position = Position(reminder.topic, 0, 0)
            record = InputRecord(position, due_at_ms, reminder.raw_key, reminder.json)
            yield from self._take(shard, record, state)

    def _settled(
        self,
        shard: Shard,
        entry: InboxEntry,
        reading: Reading,
        result: RunResult | None,
        status: Status | None = None,
        before: DecidedBefore | None = None,
    ) -> Iterator[OutputRecord]:
        """The records of an event that is done with: what its run put out or its dead letter; its outcome."""
        if before is not None:
            yield self._caught_up(shard, entry, result, before)
            return
        self.figures.events_settled += 1
        record, outputs = entry.record, self._spec.outputs
        rejected = reading.rejected if result is None else result.rejected
        decisions = () if result is None else result.decisions
        for decision in decisions:
            self.figures.decisions.add(decision.kind)
            yield OutputRecord(outputs.decisions, record.key, decision.encode(), {})
        for review in () if result is None else result.reviews:
            yield OutputRecord(outputs.reviews, record.key, review.encode(), {})
        if status == "erased":
            self.figures.events_erased += 1
        elif rejected is not None:
            self.figures.dead_letters.add(rejected.reason)
            replayed = reading.replayed
            headers = dead_letter_headers(
                self._spec.name,
                record.position,
                rejected.reason,
                rejected.detail,
                None if replayed is None else replayed.position,
            )
            value = record.value if replayed is None else replayed.value
            yield OutputRecord(outputs.dead_letters, record.key, value, headers)
        outcome = Outcome(
            agent=self._spec.name,
            topic=record.position.topic,
            partition=record.position.partition,
            offset=record.position.offset,
            origin=None if reading.origin is None else EventRef(**reading.origin._asdict()),
            status=status or ("decided" if rejected is None else "dead_lettered"),
            decisions=tuple(decision.id for decision in decisions),
            reason=None if rejected is None or status else rejected.reason,
            shard=shard.index,
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
        is_logged = self._spec.runtime.run_log != "none"
        if result is None or not (is_logged or self._tell):
            return
        log = _log_of(self._spec.name, reading, outcome, result)
        if is_logged:
            yield OutputRecord(outputs.runs, record.key, log.encode(), {})
        if self._tell is not None:
            self._tell(log)

    def _caught_up(
        self, shard: Shard, entry: InboxEntry, result: RunResult | None, before: DecidedBefore
    ) -> OutputRecord:
        """The report of an event whose records another version put out."""
        problem = ""
        if result is not None and result.missing is not None:
            problem = f"the journal does not have step {result.missing}"
        elif result is not None and result.rejected is not None:
            problem = f"{result.rejected.reason}: {result.rejected.detail}"
        if problem:
            self.figures.events_not_caught_up += 1
        else:
            self.figures.events_caught_up += 1
        report = caught_up(before, shard.index, entry.record.position, problem[:MAX_DETAIL])
        return OutputRecord(self._spec.outputs.reports, None, report.encode(), {})

    # Commands

    def _command(self, shard: Shard, record: InputRecord, state: ShardState) -> Iterator[OutputRecord]:
        try:
            command = Command.model_validate_json(record.value or b"")
        except ValueError:
            # Nobody waits for the report of something that is no command.
            return
        if command.kind == "resume":
            yield from self._resume(shard, command, state)
            return
        if command.settings is not None:
            yield self._configure(shard, command, command.settings, state)
            return
        if command.kind in ("pause", "drain"):
            shard.held_from = shard.following if command.kind == "drain" else 0
            shard.write_head(state)
        until_ms = self._clock() + self._spec.limits.run_deadline_ms + _WIND_DOWN_SLACK_MS
        shard.tasks.append(Task(command, until_ms=until_ms))
        self._working[shard.id] = shard
        save_tasks(shard.tasks, state)
        if command.kind == "drain":
            yield from self._advance_all(shard, state)
        yield from self._work(shard, state)

    def _resume(self, shard: Shard, command: Command, state: ShardState) -> Iterator[OutputRecord]:
        """Starts what was held."""
        shard.held_from = None
        shard.held_topics.clear()
        self._holding.discard(shard.id)
        shard.write_head(state)
        for waiting in [task for task in shard.tasks if task.kind in ("pause", "drain", "wind_down")]:
            shard.tasks.remove(waiting)
            if not waiting.is_reported:
                yield self._workbench.report(shard, waiting)
        save_tasks(shard.tasks, state)
        yield from self._advance_all(shard, state)
        yield self._workbench.report(shard, Task(command))

    def _configure(
        self, shard: Shard, command: Command, change: SettingsChange, state: ShardState
    ) -> OutputRecord:
        """For the runs that start from now on; those under way end as they began."""
        settings = SettingsVersion(change.version, canonical(change.patch))
        problem = self._is_refused(shard, settings, state)
        if problem is None:
            shard.settings = settings
            state.put(codec.SETTINGS_KEY, codec.encode_settings(settings))
            self.figures.settings_version, self.figures.settings_refused = settings.version, 0
        return self._workbench.report(shard, Task(command), problems=[] if problem is None else [problem])

    def _is_refused(self, shard: Shard, settings: SettingsVersion, state: ShardState) -> Problem | None:
        data = state.get(codec.SETTINGS_KEY)
        there = AS_DECLARED if data is None else codec.decode_settings(data)
        if there == settings:
            return None  # the same command again
        if settings.version <= there.version:
            reason = f"shard {shard.index} has version {there.version} already"
        else:
            try:
                self._configurations.instance(settings.patch)
            except SettingsError as error:
                reason = str(error)
            else:
                return None
        return Problem(what="settings", key=str(settings.version), reason=reason[:1000])

    def _advance_all(self, shard: Shard, state: ShardState) -> Iterator[OutputRecord]:
        """Starts what may start by now."""
        for key in [key for key in shard.queues if key not in shard.runs]:
            yield from self._advance(shard, key, state)

    def _work(self, shard: Shard, state: ShardState) -> Iterator[OutputRecord]:
        wound_down = shard.winds_down
        yield from self._workbench.work(shard, state)
        if wound_down and not shard.winds_down:
            yield from self._advance_all(shard, state)
        if not shard.tasks:
            self._working.pop(shard.id, None)

    def forget(self, shard: Shard, key: bytes, state: ShardState) -> Generator[OutputRecord, None, int]:
        """Ends a key's run and settles its events as erased; returns how many they were."""
        run = shard.runs.pop(key, None)
        if run is not None:
            self.figures.runs_abandoned += 1
            self._cancel(run)
        if key in shard.ended:
            shard.ended.remove(key)
        count = 0
        while (queue := shard.queues.get(key)) is not None:
            sequence = queue[0]
            entry = read_entry(state, sequence)
            reading = self._reader.read(entry.record)
            known = kept_steps(shard, sequence, state)
            kept = run.kept_steps if run is not None and run.sequence == sequence else len(known)
            self._leave(shard, key, sequence, kept, state)
            yield from self._settled(shard, entry, reading, None, "erased", decided_before(known))
            count += 1
        return count

    def _cancel(self, run: Run) -> None:
        if run.handle is None:
            self._to_start = [start for start in self._to_start if start.run is not run]
        else:
            self._in_flight.pop(run.handle, None)
            run.handle.cancel()

    def _plan_sweep(self, shard: Shard) -> None:
        """Memory of keys that nothing happens to any more has to be looked for."""
        expiry = self._spec.limits.memory_expiry_ms
        if expiry is None:
            return
        now = self._clock()
        pause = min(_SWEEP_MAX_MS, max(_SWEEP_MIN_MS, expiry // _SWEEPS_IN_EXPIRY))
        if now - shard.swept_at_ms >= pause:
            shard.swept_at_ms = now
            shard.tasks.append(Task(None))
            self._working[shard.id] = shard

    # Timers and back pressure

    def _schedule(self, shard: Shard, schedule: Schedule) -> None:
        """A timer for the next look, one for the shard itself where it has none, and always distant ones.

        The longer nothing has happened, the rarer a look: a wait grows by an eighth at most. A shard with an
        event that waits for its run soon has a timer, so that runs start again after a restore; where there
        is something to note or to sweep now and then, every shard has one.
        """
        now = self._clock()
        # When one of these is registered there is another one from long before: no failure loses both.
        furthest = max(shard.timers, default=now)
        while self._timers_may_be_lost and furthest < now + 2 * _DISTANT_MS:
            furthest = _shared(furthest + _DISTANT_MS, _DISTANT_MS)
            self._register(shard, furthest, schedule)
        if self._in_flight or self._to_start or self._working or self._unarmed or self._postponed:
            quiet = (now - self._changed_at_ms) // _TICK_PART_OF_WAIT
            tick = self._spec.runtime.tick_ms
            at = _shared(now + max(tick, min(quiet, _MAX_TICK_MS)), tick)
            if self._look_at_ms is None or at < self._look_at_ms:
                self._look_at_ms = at
                self._register(shard, at, schedule)
        if shard.runs or shard.tasks:
            at = _shared(now + _WAKE_MS, self._spec.runtime.tick_ms)
        elif (pause := self._housekeeping_ms()) is not None:
            at = _shared(now + pause, pause)
        else:
            return
        if not shard.timers or at < min(shard.timers):
            self._register(shard, at, schedule)

    def _register(self, shard: Shard, at_ms: int, schedule: Schedule) -> None:
        shard.timers.add(at_ms)
        schedule(at_ms)

    def _housekeeping_ms(self) -> int | None:
        if self._journal is not None:
            return self._spec.journal.mark_interval_ms
        return None if self._spec.limits.memory_expiry_ms is None else _SWEEP_MIN_MS

    def _hold_back(self, shard: Shard, state: ShardState, schedule: Schedule) -> Iterator[OutputRecord]:
        limits, figures = self._spec.limits, self.figures
        is_full = (
            figures.inbox_events >= limits.inbox_hard_events or figures.inbox_bytes >= limits.inbox_hard_bytes
        )
        # What is held, in any shard, fills the inbox for long: runs of all else go on beside it, and are in
        # memory, so that they alone may reach the bound.
        is_held = (
            shard.held_from is not None
            or shard.winds_down
            or (bool(self._holding) and len(self._in_flight) < limits.inbox_hard_events)
        )
        if is_full and not is_held and not self._is_stalled:
            figures.hard_bound_waits += 1
            self._is_stalled = not self._runner.wait(self._longest_wait_s)
            yield from self._look(shard, state, schedule)
        elif is_full or figures.inbox_events >= limits.inbox_soft_events:
            # Of a shard that is held no run may end, and runs may wait for a day to turn: to wait for one
            # would keep out checkpoints and commands.
            figures.soft_bound_slowdowns += 1
            self._sleep(self._slowdown_s)


def _by_shard(start: _Start) -> int:
    return start.shard.id


def _request(start: _Start, state: ShardState) -> RunRequest:
    run = start.run
    return RunRequest(
        shard=start.shard.index,
        business_key=start.key,
        raw_key=run.entry.record.key or b"",
        position=run.reading.position,
        record=run.entry.record.position,
        committed_at_ms=run.reading.committed_at_ms,
        accepted_at_ms=run.entry.accepted_at_ms,
        work=start.work,
        memory=state.get(codec.memory_key(start.key)),
        journal=start.journal,
        settings=start.shard.settings,
        decided_before=run.decided_before,
    )


def _log_of(agent: str, reading: Reading, outcome: Outcome, result: RunResult) -> RunLog:
    position = reading.position
    return RunLog(
        id=run_id(agent, position),
        agent=agent,
        key_hash=key_hash(reading.business_key or b""),
        event=EventRef(**position._asdict()),
        status=outcome.status,
        reason=outcome.reason,
        decisions=len(outcome.decisions),
        settings_version=result.settings_version,
        accepted_at_ms=outcome.times.accepted_at_ms,
        started_at_ms=result.started_at_ms,
        finished_at_ms=result.finished_at_ms,
        steps=result.steps,
        truncated=result.steps_truncated,
    )


def memory_format(spec: AgentJobSpec, agent: LoadedAgent) -> MemoryFormat:
    return MemoryFormat(agent, max_bytes=spec.limits.max_memory_bytes, expiry_ms=spec.limits.memory_expiry_ms)


def kept_steps(shard: Shard, sequence: int, state: ShardState) -> list[JournalEntry]:
    """What state holds of an event's run from before a failure."""
    kept: list[JournalEntry] = []
    if sequence < shard.restored_below:
        while (data := state.get(codec.journal_key(sequence, len(kept)))) is not None:
            kept.append(codec.decode_journal(data))
    return kept


def _may_be_unsettled(head: Head, state: ShardState) -> Sequence[int]:
    """Numbers that the inbox may hold, ascending. Those behind an event that is held for long are mostly
    settled: then what is there is listed, among all keys of the shard."""
    if head.following - head.first <= _LOOKED_UP:
        return range(head.first, head.following)
    return sorted(codec.sequence_number(key) for key in state.list_keys() if key[:1] == codec.INBOX)


def _keep_tail(shard: Shard, sequence: int, record: InputRecord, reading: Reading, state: ShardState) -> None:
    """Steps that were written ahead go into state with their event, however long that has to wait there.

    Those of a replay are of its first event; that it was decided is noted of the replay's own place.
    """
    tail = list(shard.tail.pop(record.position, ()))
    if reading.position != record.position:
        of_first = shard.tail.pop(reading.position, ())
        tail += [written for written in of_first if not is_note(written.entry)]
    if not tail:
        return
    shard.restored_below = max(shard.restored_below, sequence + 1)
    kept = len(kept_steps(shard, sequence, state))
    for number, written in enumerate(tail, kept):
        state.put(codec.journal_key(sequence, number), codec.encode_journal(written.entry))


def _keep(run: Run, step: JournalEntry, state: ShardState) -> None:
    state.put(codec.journal_key(run.sequence, run.kept_steps), codec.encode_journal(step))
    run.kept_steps += 1


def _set_reminder(due: DueReminder, state: ShardState, schedule: Schedule) -> None:
    at = due.due_at_ms | 1
    entry = codec.reminders_key(at)
    data = state.get(entry)
    there: list[StoredReminder] = [] if data is None else codec.decode_reminders(data)
    state.put(entry, codec.encode_reminders([*there, due.reminder]))
    schedule(at)


def _shared(at_ms: int, grid_ms: int) -> int:
    """Moments on a grid, even ones: a timer that is registered twice fires once."""
    at_ms += -at_ms % grid_ms
    return at_ms + at_ms % 2


def is_of_reminders(timer_at_ms: int) -> bool:
    return timer_at_ms % 2 == 1
