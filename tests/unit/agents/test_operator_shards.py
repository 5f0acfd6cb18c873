"""Several shards of one subtask: any timer applies all that has ended, each result in its own shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace_agents import codec
from headrace_agents.agent import prepare
from headrace_agents.operator import AgentOperator
from headrace_agents.records import InputRecord, Outcome, OutputRecord, Position, is_reminder
from headrace_agents.shards import shard_ids
from headrace_agents.spec import OnMisfit
from headrace_agents.testing import MemoryJournal, in_memory_spec
from tests.unit.agents.worlds import LIMITS, Clock, ManualRunner, Seen, Tracker, created, key, record, runs_of

SHARDS = 3
IDS = shard_ids(SHARDS, SHARDS)
KEYS = 6
LONGEST_BUNDLE_MS = 15_000
"""Flink ends a bundle after milliseconds. The operator relies on no more than this: so far apart are the
timers that every shard has."""


@dataclass
class Kept:
    """What Flink's checkpoints keep, by shard."""

    state: dict[int, dict[bytes, bytes]] = field(default_factory=lambda: {n: {} for n in IDS})
    timers: dict[int, set[int]] = field(default_factory=lambda: {n: set() for n in IDS})
    taken: int = 0
    outcomes: list[Outcome] = field(default_factory=list)


class Subtask:
    """Holds the operator to Flink's rule: state and timers are those of the current shard."""

    def __init__(
        self,
        events: list[int],
        do: str = "",
        journal: MemoryJournal | None = None,
        on_misfit: OnMisfit = "dead_letter",
    ) -> None:
        self.on_misfit = on_misfit
        self.events = [
            (IDS[number % SHARDS], created(offset, number, do)) for offset, number in enumerate(events)
        ]
        self.journal = journal
        self.clock = Clock()
        self.kept = Kept()
        self.checkpointed = Kept()
        self.current = 0
        self.asked = set[tuple[int, bytes]]()
        self.registered = set[tuple[int, int]]()
        """Timers of this bundle, by shard."""
        self._start()
        # A job's first bundle ever has to be followed by another one before what it has is safe.
        self._element(IDS[0], lambda: self._keep(self.operator._open_own(IDS[0], self, self._schedule)))
        self.next_bundle()
        self.checkpoint()

    def _start(self) -> None:
        agent = prepare(Tracker, {})
        alone = in_memory_spec(agent, ("key",), LIMITS, "none" if self.journal is None else "steps")
        inputs = tuple(each.model_copy(update={"on_misfit": self.on_misfit}) for each in alone.inputs)
        shards = {"shards": SHARDS, "max_parallelism": SHARDS}
        self.spec = alone.model_copy(update={"inputs": inputs, **shards})
        self.runner = ManualRunner(runs_of(self.spec, agent, self.clock, self.journal))
        self.operator = AgentOperator(
            self.spec,
            agent,
            self.runner,
            clock=self.clock,
            bundle_events=10,
            select=self._select,
            own=IDS,
            journal=self.journal,
        )

    def take(self) -> None:
        if self.kept.taken < len(self.events):
            shard, event = self.events[self.kept.taken]
            self.kept.taken += 1
            self._element(shard, lambda: self._process(shard, event))

    def end_run(self, index: int) -> None:
        if self.runner.in_flight:
            self.runner.end(index)

    def pass_time(self, ms: int) -> None:
        if ms >= LONGEST_BUNDLE_MS:
            self.next_bundle()
        self.clock.now_ms += ms
        while due := [
            (at, s) for s, all_of in self.kept.timers.items() for at in all_of if at <= self.clock()
        ]:
            self.fire(*min(due))

    def fire(self, at: int, shard: int) -> None:
        self.kept.timers[shard].remove(at)
        self._element(shard, lambda: self._timer(shard, at))

    def end_bundle(self) -> None:
        self.operator.end_bundle(self)

    def checkpoint(self) -> None:
        """Without the timers of the bundle that it ends: Flink registers those only afterwards."""
        self.end_bundle()  # as Flink does before a checkpoint
        self.checkpointed = deepcopy(self.kept)
        for shard, at in self.registered:
            self.checkpointed.timers[shard].discard(at)
        self.registered.clear()

    def next_bundle(self) -> None:
        self.end_bundle()
        self.registered.clear()

    def crash(self) -> None:
        self.kept = deepcopy(self.checkpointed)
        self._start()

    def finish(self) -> None:
        until_ms = self.clock.now_ms + 3_600_000
        while self.kept.taken < len(self.events):
            self.take()
        while any(
            key[:1] in (codec.INBOX, codec.REMINDERS) for each in self.kept.state.values() for key in each
        ):
            assert any(self.kept.timers.values()), "what waits would wait for ever"
            assert self.clock.now_ms < until_ms, "what waits was forgotten"
            self.pass_time(300)
            self.next_bundle()
            while self.runner.in_flight:
                self.runner.end(0)

    # What Flink gives

    def get(self, key: bytes) -> bytes | None:
        self.asked.discard((self.current, key))
        return self.kept.state[self.current].get(key)

    def prefetch(self, key: bytes) -> None:
        self.asked.add((self.current, key))

    def put(self, key: bytes, value: bytes) -> None:
        self.kept.state[self.current][key] = value

    def remove(self, key: bytes) -> None:
        self.kept.state[self.current].pop(key, None)

    def list_keys(self) -> list[bytes]:
        return list(self.kept.state[self.current])

    def _schedule(self, at: int) -> None:
        if at not in self.kept.timers[self.current]:
            self.registered.add((self.current, at))
        self.kept.timers[self.current].add(at)

    def _select(self, shard: int) -> None:
        self.current = shard

    def _element(self, shard: int, work: Callable[[], None]) -> None:
        self.current = shard
        work()
        assert self.current == shard

    def _process(self, shard: int, event: InputRecord) -> None:
        self._keep(self.operator.process(shard, event, self, self._schedule))

    def _timer(self, shard: int, at: int) -> None:
        self._keep(self.operator.on_timer(shard, at, self, self._schedule))

    def _keep(self, outputs: Iterable[OutputRecord]) -> None:
        for output in outputs:
            if output.topic == self.spec.outputs.outcomes:
                self.kept.outcomes.append(Outcome.model_validate_json(output.value or b""))


STEPS = st.lists(
    st.one_of(
        st.just(("take", 0)),
        st.just(("take", 0)),
        st.tuples(st.just("end_run"), st.integers(0, 9)),
        st.tuples(st.just("pass_time"), st.sampled_from([1, 10, 40, 16_000])),
        st.just(("next_bundle", 0)),
        st.just(("checkpoint", 0)),
        st.just(("crash", 0)),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(events=st.lists(st.integers(0, KEYS - 1), max_size=15), steps=STEPS)
@example(events=[0], steps=[("take", 0), *[("pass_time", 16_000)] * 3, ("checkpoint", 0), ("crash", 0)])
def test_every_event_has_one_outcome_in_its_shard_over_any_schedule_of_crashes(
    events: list[int], steps: list[tuple[str, int]]
) -> None:
    subtask = Subtask(events)

    for name, argument in steps:
        step = getattr(subtask, name)
        step(argument) if name in {"end_run", "pass_time"} else step()
    subtask.finish()

    assert Counter(outcome.offset for outcome in subtask.kept.outcomes) == Counter(range(len(events)))
    for number in range(KEYS):
        expected = [offset for offset, key in enumerate(events) if key == number]
        assert [o.offset for o in subtask.kept.outcomes if events[o.offset] == number] == expected
        memory = subtask.kept.state[IDS[number % SHARDS]].get(codec.memory_key(b"[%d]" % number))
        found = [] if memory is None else Seen.model_validate_json(codec.decode_memory(memory).json).things
        assert found == expected


def test_one_timer_applies_what_has_ended_in_every_shard() -> None:
    subtask = Subtask([0, 1, 2])
    for _ in subtask.events:
        subtask.take()
    subtask.end_bundle()
    assert not subtask.asked
    while subtask.runner.in_flight:
        subtask.end_run(0)

    first = min((at, shard) for shard, timers in subtask.kept.timers.items() for at in timers)
    subtask.clock.now_ms = first[0]
    subtask.fire(*first)

    assert sorted(outcome.offset for outcome in subtask.kept.outcomes) == [0, 1, 2]


def test_every_shard_with_an_inbox_has_a_timer_and_few_of_them() -> None:
    subtask = Subtask([0, 1, 2])
    for _ in subtask.events:
        subtask.take()

    for _ in range(100):
        subtask.pass_time(10)
        assert all(subtask.kept.timers.values())

    assert sum(map(len, subtask.kept.timers.values())) <= 4 * SHARDS


def test_a_shard_that_only_wakes_after_a_restore_runs_again() -> None:
    subtask = Subtask([0, 1, 2])
    for _ in subtask.events:
        subtask.take()
    subtask.checkpoint()

    subtask.crash()
    subtask.pass_time(1_010)
    subtask.end_bundle()

    assert sorted(run.request.position.offset for run in subtask.runner.in_flight) == [0, 1, 2]


def test_every_shard_whose_runs_were_applied_has_left_their_steps_behind_in_the_journal() -> None:
    journal = MemoryJournal()
    subtask = Subtask([0, 1, 2], "steps", journal)
    for _ in subtask.events:
        subtask.take()
    subtask.end_bundle()
    while subtask.runner.in_flight:
        subtask.end_run(0)

    first = min((at, shard) for shard, timers in subtask.kept.timers.items() for at in timers)
    subtask.clock.now_ms = first[0]
    subtask.fire(*first)

    assert len(journal.written) == 3 * SHARDS
    heads = [codec.decode_head(state[codec.HEAD_KEY]) for state in subtask.kept.state.values()]
    assert [head.journal_offset for head in heads] == [len(journal.written)] * SHARDS


def test_a_reminder_whose_timer_a_checkpoint_missed_comes_all_the_same() -> None:
    subtask = Subtask([0], "remind")
    subtask.take()
    subtask.next_bundle()
    subtask.end_run(0)
    at, shard = min((at, shard) for shard, timers in subtask.kept.timers.items() for at in timers)
    subtask.clock.now_ms = at
    subtask.fire(at, shard)
    subtask.checkpoint()

    subtask.crash()
    subtask.finish()

    assert [is_reminder(Position(o.topic, 0, 0)) for o in subtask.kept.outcomes] == [False, True]


def test_an_event_whose_timer_a_checkpoint_missed_is_decided_all_the_same() -> None:
    subtask = Subtask([0])
    subtask.take()
    subtask.checkpoint()

    subtask.crash()
    subtask.finish()

    assert [outcome.offset for outcome in subtask.kept.outcomes] == [0]


def test_a_checkpoint_that_misses_a_whole_bundle_s_timers_leaves_every_shard_one() -> None:
    subtask = Subtask([])
    for _ in range(5):
        next_at = min(at for timers in subtask.kept.timers.values() for at in timers)
        subtask.pass_time(next_at - subtask.clock())
        subtask.checkpoint()

        assert all(subtask.checkpointed.timers.values())


def test_a_shard_that_holds_a_table_makes_no_event_of_the_others_wait_for_a_run() -> None:
    full = LIMITS.inbox_hard_events
    subtask = Subtask([0] * (full + 10) + [1] * 10, on_misfit="hold")
    subtask.events[0] = (IDS[0], record(0, key(0), b"no json"))
    for _ in subtask.events:
        subtask.take()
        subtask.next_bundle()
        subtask.end_run(0)
        subtask.pass_time(50)
    assert subtask.runner.waits == 0
    assert [outcome.offset for outcome in subtask.kept.outcomes] == list(range(full + 10, full + 20))
