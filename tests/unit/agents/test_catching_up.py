"""After a rollback: what another version decided is put out by nobody again, and is in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_agents import Agent, Change, codec, on
from headrace_agents.catching_up import note
from headrace_agents.control import Report
from headrace_agents.records import InputRecord, Outcome, Status
from tests.unit.agents.worlds import (
    EFFECTS,
    TABLE,
    Decided,
    Run,
    Seen,
    Thing,
    World,
    created,
    effect,
    envelope,
    key,
    record,
)

ROLLBACK = "an upgrade"


def upgraded_and_undone(
    records: Sequence[InputRecord], before: int, after: int
) -> tuple[World, list[Outcome]]:
    """A world that took `before` events in, had its cutover, decided `after` more as another version, and
    is back at its cutover; and the outcomes that are in Kafka from behind it."""
    world = World(records)
    for _ in range(before):
        world.take()
    world.checkpoint()
    cutover = len(world.outcomes())
    for _ in range(after):
        world.take()
    settle(world)
    decided = world.outcomes()[cutover:]
    roll_back(world, decided)
    return world, decided


def settle(world: World) -> None:
    """Lets the runs of what was taken come to their end, in less time than a reminder takes."""
    while any(entry[:1] == codec.INBOX for entry in world.durable.state):
        while world.runner.in_flight:
            world.runner.end(0)
        world.pass_time(20)


def roll_back(world: World, decided: Sequence[Outcome]) -> None:
    assert world.journal is not None
    world.journal.written += [note(ROLLBACK, outcome) for outcome in decided]
    world.crash()


def things(world: World, number: int) -> bytes | None:
    data = world.durable.state.get(codec.memory_key(f"[{number}]".encode()))
    return None if data is None else codec.decode_memory(data).json


def told(world: World) -> list[Report]:
    return [report for report in world.reports() if report.kind == "catch_up"]


@settings(max_examples=100, deadline=None)
@given(
    kinds=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["", "steps", "remind"])), max_size=12),
    before=st.integers(0, 6),
    after=st.integers(0, 6),
)
def test_each_event_has_one_outcome_and_memory_is_that_of_a_replay(
    kinds: list[tuple[int, str]], before: int, after: int
) -> None:
    records = [created(offset, number, what) for offset, (number, what) in enumerate(kinds)]
    EFFECTS.clear()
    world, decided = upgraded_and_undone(records, before, after)
    world.finish()
    world.pass_time(600)
    replay = World(records)
    replay.finish()
    replay.pass_time(600)

    found = Counter((outcome.topic, outcome.offset) for outcome in [*decided, *world.outcomes()])
    assert found == Counter((outcome.topic, outcome.offset) for outcome in replay.outcomes())
    assert {number: things(world, number) for number in range(3)} == {
        number: things(replay, number) for number in range(3)
    }
    assert len(told(world)) == len(decided)
    assert not [problem for report in told(world) for problem in report.problems]
    steps = [offset for offset, (_, what) in enumerate(kinds) if what == "steps"]
    assert all(EFFECTS[offset, number] <= 2 for offset in steps for number in range(3))


def test_a_step_that_the_journal_does_not_have_is_not_made_and_the_event_is_listed() -> None:
    EFFECTS.clear()
    world = World([created(0, 1), created(1, 1, "steps"), created(2, 1)])
    world.take()
    settle(world)
    world.checkpoint()
    assert world.journal is not None
    world.take()
    settle(world)
    decided = world.outcomes()[1:]
    world.journal.written.clear()
    EFFECTS.clear()

    roll_back(world, decided)
    world.finish()

    (report,) = told(world)
    (problem,) = report.problems
    assert (problem.what, problem.key) == ("event", "public.things/0/1")
    assert "effect#0" in problem.reason
    assert not EFFECTS
    assert things(world, 1) == b'{"things":[0,2]}'
    assert [outcome.offset for outcome in world.outcomes()] == [0, 2]


class SideBySide(Agent[Seen, Decided]):
    """Two steps at once, in a group of the author's own."""

    @on(TABLE, "create")
    async def thing(self, ctx: Run, change: Change[Thing]) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(2):
                group.create_task(ctx.step(f"effect {number}", effect, change.row.id, number))
        ctx.memory.things.append(change.row.id)


def test_steps_that_are_missing_side_by_side_fail_no_job() -> None:
    world = World([created(0, 1)], agent_class=SideBySide)
    world.checkpoint()
    world.take()
    settle(world)
    decided = world.outcomes()
    assert world.journal is not None
    world.journal.written.clear()

    roll_back(world, decided)
    world.finish()

    (report,) = told(world)
    assert "effect 0#0" in report.problems[0].reason
    assert things(world, 1) is None
    assert not world.outcomes()


@pytest.mark.parametrize("status", ["dead_lettered", "erased"])
def test_a_dead_letter_changes_no_memory(status: Status) -> None:
    world = World([created(0, 1, "fail"), created(1, 1)])
    world.checkpoint()
    world.take()
    settle(world)
    decided = [outcome.model_copy(update={"status": status}) for outcome in world.outcomes()]

    roll_back(world, decided)
    world.finish()

    assert things(world, 1) == b'{"things":[1]}'
    assert [report.counts for report in told(world)] == [{status: 1}]
    assert [outcome.offset for outcome in world.outcomes()] == [1]


def test_what_needs_no_run_has_no_second_outcome() -> None:
    deleted = record(0, key(1), envelope({"id": 0, "key": 1}, op="d"))
    world = World([deleted, created(1, 1)])
    world.checkpoint()
    world.take()
    decided = world.outcomes()
    assert [outcome.offset for outcome in decided] == [0]

    roll_back(world, decided)
    world.finish()

    assert [outcome.offset for outcome in world.outcomes()] == [1]
    assert len(told(world)) == 1


def test_that_it_was_decided_outlives_another_failure() -> None:
    world, decided = upgraded_and_undone([created(0, 1), created(1, 1, "steps"), created(2, 1)], 1, 1)
    assert decided
    world.take()
    world.checkpoint()
    assert world.journal is not None
    world.journal.written.clear()

    world.crash()
    world.finish()

    assert len(told(world)) == len(decided)
    later = {0, 1, 2} - {outcome.offset for outcome in decided}
    assert {outcome.offset for outcome in world.outcomes()} == later
