"""Commands to the shards of a running agent: what they do, what they report, and that over a crash too."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from headrace_agents import Agent, Change, Context, codec, migrates, on
from headrace_agents.control import Command, Report, control_key
from headrace_agents.records import InputRecord, Position
from headrace_agents.tasks import BYTES_AT_A_LOOK, KEYS_AT_A_LOOK
from tests.unit.agents.worlds import (
    EFFECTS,
    LIMITS,
    TABLE,
    Decided,
    Seen,
    Thing,
    World,
    created,
    envelope,
    key,
    record,
)

CANARY = 918273645
"""A key that nothing else in state looks like."""


@pytest.fixture(autouse=True)
def no_effects() -> None:
    EFFECTS.clear()


def done(world: World) -> list[Report]:
    return [report for report in world.reports() if report.done]


def with_memories(many: int, version: int = 1, json: bytes = b'{"things":[1]}', **more: Any) -> World:
    world = World([], **more)
    for number in range(many):
        memory = codec.encode_memory(codec.Memory(version, 0, json))
        world.durable.state[codec.memory_key(b"[%d]" % number)] = memory
    return world


def looks(world: World, many: int = 30) -> None:
    """Lets that many timers fire."""
    for _ in range(many):
        world.pass_time(250)


def offsets(world: World) -> list[int]:
    return [outcome.offset for outcome in world.outcomes()]


# Pause, resume, drain


def test_a_paused_shard_takes_events_in_and_starts_none() -> None:
    world = World([created(0, 1), created(1, 2)])
    world.command("pause")

    world.take()
    world.take()
    looks(world)

    assert (world.runner.in_flight, world.outcomes()) == ([], [])
    world.command("resume")
    world.finish()
    assert sorted(offsets(world)) == [0, 1]


def test_a_pause_is_done_when_the_run_in_flight_has_ended() -> None:
    world = World([created(0, 1), created(1, 1)])
    world.take()
    world.take()

    world.command("pause")
    looks(world)
    assert done(world) == []
    world.end_run(0)
    looks(world)

    assert [report.kind for report in done(world)] == ["pause"]
    assert (offsets(world), world.runner.in_flight) == ([0], [])


def test_a_pause_of_an_idle_shard_is_done_at_once() -> None:
    world = World([])
    world.command("pause")

    assert [(report.kind, report.shard) for report in done(world)] == [("pause", 0)]


def test_a_shard_stays_paused_over_a_crash_and_its_pause_is_reported_once() -> None:
    world = World([created(0, 1), created(1, 2)])
    world.take()
    world.command("pause")
    world.checkpoint()
    world.crash()
    world.take()
    looks(world)
    assert world.runner.in_flight == []

    world.checkpoint()
    world.crash()
    world.command("resume")
    world.finish()

    assert Counter(report.kind for report in done(world)) == {"pause": 1, "resume": 1}
    assert sorted(offsets(world)) == [0, 1]


def test_an_event_that_needs_no_run_is_settled_by_a_paused_shard_too() -> None:
    world = World([record(0, key(1), None)])
    world.command("pause")

    world.take()

    assert offsets(world) == [0]


def test_a_reminder_that_is_due_waits_for_a_paused_shard() -> None:
    world = World([created(0, 1, "remind")])
    world.take()
    world.end_run(0)
    world.pass_time(100)
    world.command("pause")

    looks(world)
    assert len(world.outcomes()) == 1
    world.command("resume")
    world.finish()

    assert len(world.outcomes()) == 2


def test_a_shard_that_winds_down_ends_its_runs_and_starts_none_until_another_job_goes_on() -> None:
    world = World([created(0, 1), created(1, 1), created(2, 2)])
    world.take()
    world.command("wind_down")
    world.take()
    world.take()
    looks(world)
    assert done(world) == []
    world.end_run(0)
    looks(world)
    assert [report.kind for report in done(world)] == ["wind_down"]
    assert (offsets(world), world.runner.in_flight) == ([0], [])

    world.checkpoint()
    world.crash()
    looks(world)
    world.finish()
    assert sorted(offsets(world)) == [0, 1, 2]
    assert Counter(report.kind for report in done(world)) == {"wind_down": 1}


def test_a_shard_that_nobody_stops_after_it_wound_down_goes_on_by_itself() -> None:
    world = World([created(0, 1), created(1, 2)])
    world.take()
    world.command("wind_down")
    world.take()
    world.end_run(0)
    world.pass_time(LIMITS.run_deadline_ms + 59_000)
    assert world.runner.in_flight == []

    world.pass_time(2_000)
    looks(world)
    world.finish()

    assert sorted(offsets(world)) == [0, 1]
    assert Counter(report.kind for report in done(world)) == {"wind_down": 1}


@pytest.mark.parametrize("is_paused", [False, True], ids=["not paused", "paused"])
def test_winding_down_leaves_a_pause_as_it_is(*, is_paused: bool) -> None:
    world = World([created(0, 1)])
    if is_paused:
        world.command("pause")
    world.command("wind_down")
    world.take()
    world.checkpoint()
    world.crash()
    looks(world)

    assert bool(world.runner.in_flight) is not is_paused
    world.command("resume")
    world.finish()
    assert offsets(world) == [0]


def test_a_drain_decides_what_is_in_the_inbox_and_holds_what_comes_later() -> None:
    world = World([created(0, 1), created(1, 1), created(2, 1), created(3, 2)])
    world.take()
    world.take()
    world.command("drain")
    world.take()
    world.take()

    for _ in range(4):
        world.end_run(0)
        looks(world)

    assert [report.kind for report in done(world)] == ["drain"]
    assert (offsets(world), world.runner.in_flight) == ([0, 1], [])
    world.command("resume")
    world.finish()
    assert sorted(offsets(world)) == [0, 1, 2, 3]


def test_a_drain_goes_on_after_a_crash() -> None:
    world = World([created(0, 1), created(1, 1), created(2, 1)])
    world.take()
    world.take()
    world.command("drain")
    world.checkpoint()
    world.crash()
    world.take()

    for _ in range(4):
        looks(world)
        world.end_run(0)
    looks(world)

    assert (offsets(world), [report.kind for report in done(world)]) == ([0, 1], ["drain"])


def test_a_drain_after_a_pause_decides_what_the_pause_held() -> None:
    world = World([created(0, 1), created(1, 2)])
    world.command("pause")
    world.take()
    world.take()

    world.command("drain")
    while world.runner.in_flight:
        world.end_run(0)
        looks(world)

    assert sorted(offsets(world)) == [0, 1]
    assert [report.kind for report in done(world)] == ["pause", "drain"]


def test_a_held_shard_at_the_hard_bound_does_not_wait_for_runs_that_can_t_end() -> None:
    world = World([created(offset, offset) for offset in range(LIMITS.inbox_hard_events + 5)])
    world.command("pause")

    while world.durable.taken < len(world.records):
        world.take()
    assert world.runner.waits == 0
    assert world.slept_s > 0

    world.command("resume")
    world.finish()
    assert len(world.outcomes()) == len(world.records)


def test_the_bound_of_bytes_holds_events_back_as_that_of_their_number() -> None:
    events = [created(offset, offset) for offset in range(20)]
    size = len(events[-1].key or b"") + len(events[-1].value or b"")
    world = World(events, LIMITS.model_copy(update={"inbox_hard_bytes": 10 * size}))

    while world.durable.taken < len(world.records):
        world.take()

    assert world.runner.waits >= 9
    assert world.operator.figures.inbox_bytes <= 11 * size
    world.finish()
    assert (world.operator.figures.inbox_bytes, world.operator.figures.inbox_events) == (0, 0)


# Check


def test_a_check_counts_everything_in_state_and_changes_nothing() -> None:
    world = World([created(0, 1), created(1, 1), created(2, 2, "remind"), created(3, 3, "steps")])
    for _ in world.records:
        world.take()
    world.do_steps(2, 2)
    world.end_run(1)
    world.pass_time(100)
    before = {entry: data for entry, data in world.durable.state.items() if entry[:1] not in b"ht"}

    world.command("check")
    looks(world, 1)

    (report,) = world.reports()
    assert report.counts == {"inbox": 3, "journal": 2, "memory": 1, "reminders": 1}
    assert report.problems == ()
    assert before.items() <= world.durable.state.items()


def test_a_check_names_what_can_t_be_read_and_goes_on() -> None:
    world = with_memories(3)
    wrong = {
        codec.memory_key(b"[3]"): b"\x09",
        codec.memory_key(b"[4]"): b"\x01",
        codec.memory_key(b"[5]"): codec.encode_memory(codec.Memory(7, 0, b"{}")),
        codec.memory_key(b"[6]"): codec.encode_memory(codec.Memory(1, 0, b'{"things":"none"}')),
        codec.journal_key(0, 0): b"\x01\x00",
        codec.reminders_key(10**9 + 1): codec.encode_reminders([codec.StoredReminder("t", b"{}", b"{")]),
    }
    world.durable.state |= wrong

    world.command("check")
    looks(world, 1)

    problems = [problem for report in world.reports() for problem in report.problems]
    assert {(problem.what, problem.key) for problem in problems} >= {
        ("memory", f"[{number}]") for number in (3, 4, 5, 6)
    }
    assert all(problem.reason for problem in problems)
    assert len(problems) == len(wrong)
    assert done(world)[0].counts == {"memory": 3, "unreadable": len(wrong)}
    assert wrong.items() <= world.durable.state.items()


# Migrate


class Newer(Agent[Seen, Decided]):
    memory_version = 2

    @on(TABLE, "create")
    async def thing(self, ctx: Context[Seen, Decided], change: Change[Thing]) -> None: ...

    @migrates(1)
    @staticmethod
    def _to_second(memory: dict[str, Any]) -> dict[str, Any]:
        return {"things": [thing * 10 for thing in memory["things"]]}


MANY = 2 * KEYS_AT_A_LOOK + 50


def migrated(world: World) -> int:
    return sum(memory.schema_version == 2 for memory in world.memories().values())


def test_memories_are_migrated_a_share_at_each_look() -> None:
    world = with_memories(MANY, agent_class=Newer)

    world.command("migrate")
    shares = [migrated(world)]
    while not done(world):
        looks(world, 1)
        shares.append(migrated(world))

    assert shares == [KEYS_AT_A_LOOK, 2 * KEYS_AT_A_LOOK, MANY]
    assert {memory.json for memory in world.memories().values()} == {b'{"things":[10]}'}
    assert done(world)[0].counts == {"migrated": MANY}


def test_a_migration_goes_on_after_a_crash_and_counts_each_memory_once() -> None:
    world = with_memories(MANY, agent_class=Newer)
    world.command("migrate")
    world.checkpoint()
    looks(world, 1)

    world.crash()
    looks(world)

    assert [report.counts for report in done(world)] == [{"migrated": MANY}]
    assert {memory.json for memory in world.memories().values()} == {b'{"things":[10]}'}


def test_a_migration_leaves_today_s_memories_and_those_it_can_t_read() -> None:
    world = with_memories(2, version=2, agent_class=Newer)
    world.durable.state[codec.memory_key(b"[9]")] = odd = codec.encode_memory(codec.Memory(1, 0, b"{}"))

    world.command("migrate")
    looks(world, 1)

    assert done(world)[0].counts == {"current": 2, "unreadable": 1}
    assert world.durable.state[codec.memory_key(b"[9]")] == odd


def test_migrated_memory_keeps_the_time_at_which_it_was_written() -> None:
    world = with_memories(1, agent_class=Newer)
    world.clock.now_ms = 77_000

    world.command("migrate")

    assert [memory.written_at_ms for memory in world.memories().values()] == [0]


# Export and get


def exported(world: World) -> list[tuple[Any, ...]]:
    return [memory.key for report in world.reports() for memory in report.memories]


@pytest.mark.parametrize("crashes", [False, True])
def test_an_export_reports_each_memory_once(crashes: bool) -> None:
    world = with_memories(MANY)
    world.command("export")
    if crashes:
        world.checkpoint()
        looks(world, 1)
        world.crash()
    looks(world)

    assert sorted(exported(world)) == [(number,) for number in range(MANY)]
    assert [report.counts for report in done(world)] == [{"memories": MANY}]


def test_an_export_says_what_today_s_agent_reads_and_which_version_wrote_it() -> None:
    world = with_memories(1, agent_class=Newer)

    world.command("export")
    looks(world, 1)

    ((memory,),) = [report.memories for report in world.reports() if report.memories]
    assert (memory.key, memory.memory, memory.schema_version) == ((0,), {"things": [10]}, 1)
    assert migrated(world) == 0


def test_large_memories_are_exported_few_at_a_look_so_that_a_report_fits_a_record() -> None:
    content = b'{"things":[%s]}' % b",".join([b"1"] * 40_000)
    world = with_memories(10, json=content)

    world.command("export")
    looks(world)

    assert len(exported(world)) == 10
    sizes = [len(output.value or b"") for output in world.durable.outputs]
    assert max(sizes) < BYTES_AT_A_LOOK + 2 * len(content)


def test_memory_that_has_expired_is_not_exported_as_an_empty_one() -> None:
    world = with_memories(1, limits=LIMITS.model_copy(update={"memory_expiry_ms": 50_000}))
    world.clock.now_ms = 50_000

    world.command("export")
    world.command("get", 0)
    looks(world, 1)

    assert exported(world) == []
    assert [report.counts.get("memories", 0) for report in done(world)] == [0, 0]


@pytest.mark.parametrize(("number", "found"), [(1, [(1,)]), (99, [])])
def test_one_memory_is_got_by_its_key(number: int, found: list[tuple[int]]) -> None:
    world = with_memories(3)

    world.command("get", number)

    assert exported(world) == found
    assert len(done(world)) == 1


# Erase


def bytes_of_canary(world: World) -> list[bytes]:
    return [
        entry for entry, data in world.durable.state.items() if str(CANARY).encode() in entry + b"\0" + data
    ]


def busy_with_canary() -> World:
    """Memory, a reminder, a run in flight with steps in state, two events that wait."""
    world = World(
        [
            created(0, CANARY, "remind"),
            created(1, 5, "remind"),
            created(2, CANARY, "steps"),
            created(3, CANARY),
            record(4, key(CANARY), envelope({"id": 4, "key": CANARY}, op="d")),
            created(5, 5),
        ]
    )
    world.take()
    world.take()
    world.end_run(0)
    world.end_run(0)
    world.pass_time(20)
    while world.durable.taken < len(world.records):
        world.take()
    world.do_steps(0, 2)
    world.pass_time(20)
    return world


@pytest.mark.parametrize("crash", ["none", "before", "after"])
def test_an_erased_key_leaves_no_byte_of_it_in_state(crash: str) -> None:
    world = busy_with_canary()
    prefixes = {entry[:1] for entry in bytes_of_canary(world)}
    assert prefixes == {codec.INBOX, codec.MEMORY, codec.REMINDERS}
    assert any(entry[:1] == codec.JOURNAL for entry in world.durable.state)
    if crash == "before":
        world.checkpoint()
        world.crash()

    world.command("erase", CANARY)
    looks(world, 1)
    if crash == "after":
        world.checkpoint()
        world.crash()
        looks(world, 1)

    assert bytes_of_canary(world) == []
    assert not any(entry[:1] == codec.JOURNAL for entry in world.durable.state)
    assert done(world)[0].counts == {"memories": 1, "events": 3, "reminders": 1}
    world.finish()
    assert bytes_of_canary(world) == []


def test_every_event_that_waited_has_an_erased_outcome_and_nothing_else_is_left_of_it() -> None:
    world = busy_with_canary()
    decided = len(world.decisions())

    world.command("erase", CANARY)

    erased = [outcome for outcome in world.outcomes() if outcome.status == "erased"]
    assert [(outcome.offset, outcome.decisions, outcome.reason) for outcome in erased] == [
        (2, (), None),
        (3, (), None),
        (4, (), None),
    ]
    assert (len(world.decisions()), world.dead_letters()) == (decided, [])


def test_a_run_of_an_erased_key_is_cancelled_and_its_result_is_never_applied() -> None:
    world = busy_with_canary()
    run = world.runner.in_flight[0]
    world.command("erase", CANARY)
    assert run.cancelled

    world.finish()

    assert Counter(outcome.offset for outcome in world.outcomes() if outcome.topic == TABLE) == dict.fromkeys(
        range(6), 1
    )
    assert not any(b"[%d]" % CANARY in entry for entry in world.durable.state)


def test_another_key_s_reminder_of_the_same_millisecond_stays() -> None:
    world = busy_with_canary()
    assert len([entry for entry in world.durable.state if entry[:1] == codec.REMINDERS]) == 1

    world.command("erase", CANARY)
    world.finish()

    reminded = [outcome for outcome in world.outcomes() if outcome.topic.startswith("reminder/")]
    assert [outcome.origin.offset for outcome in reminded if outcome.origin] == [1]


def test_an_event_after_the_erasure_begins_with_new_memory() -> None:
    world = busy_with_canary()
    world.command("erase", CANARY)

    world.put_in(created(9, CANARY))
    world.finish()

    assert {"thing": 9, "seen": 1} in [decision.decision for decision in world.decisions()]


def test_an_erasure_by_a_paused_shard_is_done_while_it_is_paused() -> None:
    world = busy_with_canary()
    world.command("pause")
    world.command("erase", CANARY)
    looks(world, 1)

    assert bytes_of_canary(world) == []
    assert "erase" in [report.kind for report in done(world)]


def test_an_erasure_among_many_reminders_goes_on_over_looks_and_a_crash() -> None:
    world = World([])
    for number in range(MANY):
        mine = codec.StoredReminder("reminder/a", key(CANARY), json.dumps({"n": number}).encode())
        other = codec.StoredReminder("reminder/b", key(5), b"{}")
        world.durable.state[codec.reminders_key(10**12 + 2 * number + 1)] = codec.encode_reminders(
            [mine, other]
        )
    world.command("erase", CANARY)
    world.checkpoint()
    looks(world, 1)
    world.crash()

    looks(world)

    assert bytes_of_canary(world) == []
    assert len(world.durable.state) >= MANY
    assert done(world)[0].counts == {"reminders": MANY}


# The records


def test_a_command_that_is_none_is_passed_over() -> None:
    world = World([created(0, 1)])
    world.put_in(InputRecord(Position("control", 0, 0), 1, control_key(0), b"{}"))

    world.finish()

    assert (world.reports(), offsets(world)) == ([], [0])


@pytest.mark.parametrize(
    ("kind", "of", "message"), [("erase", None, "needs a key"), ("pause", (1,), "takes no key")]
)
def test_a_command_has_a_key_where_it_concerns_one(kind: str, of: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Command.model_validate({"id": "1", "kind": kind, "key": of})
