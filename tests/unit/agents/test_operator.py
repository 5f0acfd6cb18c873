"""The operator: one outcome for every record, in order, whatever happens when."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_agents import codec
from headrace_agents.control import Command, control_key
from headrace_agents.memory import UnreadableMemoryError
from headrace_agents.records import InputRecord, Position
from tests.unit.agents.worlds import EFFECTS, LIMITS, TABLE, Seen, World, created, envelope, key, record

STEPS = st.lists(
    st.one_of(
        st.just(("take", 0)),
        st.just(("take", 0)),
        st.tuples(st.just("end_run"), st.integers(0, 9)),
        st.tuples(st.just("do_steps"), st.integers(0, 9)),
        st.tuples(st.just("pass_time"), st.sampled_from([1, 10, 40])),
        st.just(("checkpoint", 0)),
        st.just(("crash", 0)),
        st.tuples(st.just("command"), st.sampled_from(["pause", "resume", "drain", "check", "export"])),
    ),
    max_size=60,
)

RECORD_KINDS = st.tuples(
    st.integers(0, 3),
    st.sampled_from(
        ["", "", "", "steps", "steps", "remind", "fail", "delete", "tombstone", "junk", "large", "erase"]
    ),
)


TOO_LARGE = b"x" * (LIMITS.max_event_bytes + 1)


def make(offset: int, kind: tuple[int, str]) -> InputRecord:
    number, what = kind
    if what == "erase":
        command = Command(id=str(offset), kind="erase", key=(number,))
        return InputRecord(Position("control", 0, offset), 1, control_key(0), command.encode())
    if what == "delete":
        return record(offset, key(number), envelope({"id": offset, "key": number}, op="d"))
    if what == "tombstone":
        return record(offset, key(number), None)
    if what == "junk":
        return record(offset, key(number), b"{")
    if what == "large":
        return record(offset, key(number), TOO_LARGE)
    return created(offset, number, what)


@settings(max_examples=150, deadline=None)
@given(kinds=st.lists(RECORD_KINDS, max_size=15), steps=STEPS)
def test_every_record_has_one_outcome_over_any_schedule_of_crashes(
    kinds: list[tuple[int, str]], steps: list[tuple[str, Any]]
) -> None:
    records = [make(offset, kind) for offset, kind in enumerate(kinds)]
    events = [offset for offset, (_, what) in enumerate(kinds) if what != "erase"]
    EFFECTS.clear()
    world = World(records)

    for name, argument in steps:
        step = getattr(world, name)
        step(argument) if name in {"end_run", "do_steps", "pass_time", "command"} else step()
    world.command("resume")
    world.finish()
    world.pass_time(300)

    changes = [outcome for outcome in world.outcomes() if outcome.topic == TABLE]
    assert Counter(outcome.offset for outcome in changes) == Counter(events)
    reminders = [outcome for outcome in world.outcomes() if outcome.topic != TABLE]
    set_by = Counter(outcome.origin.offset for outcome in reminders if outcome.origin is not None)
    asked = Counter(offset for offset, (_, what) in enumerate(kinds) if what == "remind")
    assert set_by <= asked
    assert {offset for offset in asked if not is_erased_later(kinds, offset)} <= set_by.keys()
    assert all(count == 1 for count in EFFECTS.values()), "a step that was written ahead was done again"
    outcomes = [*changes, *reminders]
    ids = [decision.id for decision in world.decisions()]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {decision for outcome in outcomes for decision in outcome.decisions}
    assert_in_order_per_key(world, kinds)
    assert_memory_is_a_replay(world, kinds)
    assert not [entry for entry in world.durable.state if entry[:1] not in (codec.MEMORY, codec.HEAD_KEY)]
    reports = Counter(report.command for report in world.reports() if report.done)
    assert all(reports[str(offset)] == 1 for offset, (_, what) in enumerate(kinds) if what == "erase")


def is_erased_later(kinds: list[tuple[int, str]], offset: int) -> bool:
    return (kinds[offset][0], "erase") in kinds[offset:]


def assert_in_order_per_key(world: World, kinds: list[tuple[int, str]]) -> None:
    offsets = defaultdict(list)
    for outcome in world.outcomes():
        if outcome.topic == TABLE:
            offsets[kinds[outcome.offset][0]].append(outcome.offset)
    assert all(found == sorted(found) for found in offsets.values())


def assert_memory_is_a_replay(world: World, kinds: list[tuple[int, str]]) -> None:
    expected = defaultdict(list)
    for offset, (number, what) in enumerate(kinds):
        if what in ("", "steps", "remind") and not is_erased_later(kinds, offset):
            expected[number].append(offset)
    found = {
        number: [t for t in Seen.model_validate_json(codec.decode_memory(data).json).things if t >= 0]
        for number in range(4)
        if (data := world.durable.state.get(codec.memory_key(b"[%d]" % number))) is not None
    }
    assert found == expected


def test_keys_run_side_by_side_and_one_key_runs_one_event_at_a_time() -> None:
    world = World([created(0, 1), created(1, 1), created(2, 2)])

    for _ in world.records:
        world.take()

    assert [run.request.position.offset for run in world.runner.in_flight] == [0, 2]


def test_runs_start_again_after_a_crash_without_a_new_event() -> None:
    world = World([created(0, 1), created(1, 1)])
    world.take()
    world.take()
    world.checkpoint()

    world.crash()
    world.pass_time(1_000)

    assert [run.request.position.offset for run in world.runner.in_flight] == [0]
    world.finish()
    assert [outcome.offset for outcome in world.outcomes()] == [0, 1]


def test_nothing_of_a_run_shows_before_the_timer_applies_it() -> None:
    world = World([created(0, 1)])
    world.take()

    world.end_run(0)
    assert world.durable.outputs == []
    world.pass_time(1_000)

    assert [outcome.status for outcome in world.outcomes()] == ["decided"]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("fail", "handler_error"),
        ("hang", "deadline"),
        ("grow", "memory_too_large"),
        ("flood", "output_too_large"),
    ],
)
def test_a_run_that_fails_leaves_a_dead_letter_and_memory_as_it_was(what: str, reason: str) -> None:
    bad = created(0, 1, what)
    world = World([bad, created(1, 1)], LIMITS.model_copy(update={"run_deadline_ms": 50}))

    world.finish()

    assert [outcome.reason for outcome in world.outcomes()] == [reason, None]
    (dead,) = world.dead_letters()
    assert (dead.key, dead.value) == (bad.key, bad.value)
    assert dead.headers["headrace.reason"] == reason.encode()
    assert dead.headers["headrace.offset"] == b"0"
    assert [decision.decision for decision in world.decisions()] == [{"thing": 1, "seen": 1}]


def test_memory_that_can_not_be_read_fails_the_job_and_stays_as_it_is() -> None:
    world = World([created(0, 1)])
    memory = codec.encode_memory(codec.Memory(1, 0, b'{"things": "of another time"}'))
    world.durable.state[codec.memory_key(b"[1]")] = memory

    with pytest.raises(UnreadableMemoryError, match=r"memory of key \[1\].* can't be read as Seen"):
        world.finish()

    assert world.durable.state[codec.memory_key(b"[1]")] == memory
    assert world.durable.outputs == []


def test_a_too_large_event_waits_behind_the_events_of_its_key() -> None:
    world = World([created(0, 1), record(1, key(1), TOO_LARGE), record(2, key(2), TOO_LARGE)])

    for _ in world.records:
        world.take()
    assert [outcome.offset for outcome in world.outcomes()] == [2]
    world.finish()

    assert [(outcome.offset, outcome.reason) for outcome in world.outcomes()] == [
        (2, "too_large"),
        (0, None),
        (1, "too_large"),
    ]
    assert [dead.value for dead in world.dead_letters()] == [TOO_LARGE, TOO_LARGE]


def test_a_too_large_event_that_waits_for_none_never_enters_state() -> None:
    world = World([record(0, key(1), TOO_LARGE)])

    world.take()

    assert world.durable.state.keys() <= {codec.HEAD_KEY}
    assert [outcome.reason for outcome in world.outcomes()] == ["too_large"]
    assert world.dead_letters()[0].value == TOO_LARGE


def test_above_the_soft_bound_a_bundle_is_slowed_by_200_ms_at_most() -> None:
    world = World(created(offset, offset) for offset in range(LIMITS.inbox_soft_events + 10))

    for _ in range(LIMITS.inbox_soft_events):
        world.take()
    assert world.slept_s == 0
    for _ in range(10):
        world.take()

    assert world.slept_s == pytest.approx(0.2)


def test_where_no_run_ends_however_long_checkpoints_and_commands_are_not_held_up() -> None:
    """As where all wait for the next day of a budget; once one has ended, events wait for runs again."""
    world = World(created(offset, offset) for offset in range(LIMITS.inbox_hard_events + 60))
    world.runner.stalled = True
    while world.durable.taken < LIMITS.inbox_hard_events + 30:
        world.take()
    assert world.runner.waits == 1
    assert world.slept_s > 0

    world.runner.stalled = False
    world.end_run(0)
    world.pass_time(1_000)
    while world.durable.taken < len(world.records):
        world.take()
    assert world.runner.waits > 20
    world.finish()
    assert len(world.outcomes()) == len(world.records)


def test_at_the_hard_bound_each_event_waits_for_a_run_to_end() -> None:
    world = World(created(offset, offset) for offset in range(LIMITS.inbox_hard_events + 30))

    while world.durable.taken < len(world.records):
        world.take()

    assert world.runner.waits == world.operator.figures.hard_bound_waits == 30
    assert world.operator.figures.inbox_events <= LIMITS.inbox_hard_events
    world.finish()
    assert len(world.outcomes()) == len(world.records)


def test_a_shard_looks_less_often_the_longer_nothing_happens() -> None:
    world = World([created(0, 1)])
    world.take()

    looks = []
    for _ in range(200):
        world.pass_time(min(world.durable.timers) - world.clock.now_ms)
        looks.append(world.clock.now_ms)

    gaps = [later - earlier for earlier, later in pairwise(looks)]
    assert gaps[0] == world.spec.runtime.tick_ms
    assert max(gaps) <= 250 + world.spec.runtime.tick_ms
    assert gaps == sorted(gaps)


def test_closing_the_operator_closes_its_runner() -> None:
    world = World([])

    world.operator.close()

    assert world.runner.closed
