"""The write-ahead journal: which steps of it count, and until when state needs it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from headrace_agents import Agent, Change, Context, codec, on
from headrace_agents.codec import JournalEntry, UnknownFormatError
from headrace_agents.journal import TailReader, Written, encode_claim, encode_mark, encode_step
from headrace_agents.records import Position
from tests.unit.agents.worlds import EFFECTS, TABLE, Decided, Seen, Thing, World, created

ONE, OTHER = b"1" * 16, b"2" * 16
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def no_effects() -> None:
    EFFECTS.clear()


def step(offset: int, name: str = "send", result: bytes = b"1", occurrence: int = 0) -> Written:
    return Written(Position("t", 0, offset), 7, JournalEntry(name, occurrence, b"d" * 16, result))


def read(*values: bytes) -> TailReader:
    reader = TailReader()
    for offset, value in enumerate(values):
        reader.take(offset, value)
    return reader


# What the topic says


def test_a_step_comes_back_as_it_was_with_its_event() -> None:
    reader = read(encode_claim(3, ONE), encode_step(3, ONE, step(5, "tool:look#0/send", b"\0", 2)))

    assert list(reader.of(3, 0)) == [step(5, "tool:look#0/send", b"\0", 2)]
    assert list(reader.of(4, 0)) == []


def test_what_an_owner_writes_after_its_shard_was_claimed_is_discarded() -> None:
    reader = read(
        encode_claim(3, ONE),
        encode_step(3, ONE, step(1)),
        encode_claim(3, OTHER),
        encode_step(3, ONE, step(2)),
        encode_step(3, OTHER, step(3)),
    )

    assert [written.position.offset for written in reader.of(3, 0)] == [1, 3]
    assert reader.discarded == 1


def test_a_claim_concerns_its_own_shard_alone() -> None:
    reader = read(encode_claim(3, ONE), encode_claim(4, OTHER), encode_step(3, ONE, step(1)))

    assert (len(list(reader.of(3, 0))), reader.discarded) == (1, 0)


def test_steps_before_the_first_claim_that_is_read_count() -> None:
    """Reading begins at an offset that state knows, which may be after the claim."""
    reader = read(encode_step(3, ONE, step(1)), encode_claim(3, OTHER))

    assert len(list(reader.of(3, 0))) == 1


def test_of_a_step_that_was_written_twice_the_last_counts() -> None:
    reader = read(encode_step(3, ONE, step(1, result=b"old")), encode_step(3, ONE, step(1, result=b"new")))

    assert [written.entry.result for written in reader.of(3, 0)] == [b"new"]


def test_a_mark_is_counted_and_says_nothing_of_steps() -> None:
    reader = read(encode_mark(ONE))

    assert (reader.records, list(reader.of(3, 0))) == (1, [])


def test_a_record_of_another_version_is_refused() -> None:
    with pytest.raises(UnknownFormatError, match="journal record of format 2; this runtime reads 1"):
        read(b"\2" + encode_mark(ONE)[1:])


# What state says


def offset(world: World) -> int | None:
    data = world.durable.state.get(codec.HEAD_KEY)
    return None if data is None else codec.decode_head(data).journal_offset


def lost_after_two_steps(*more: int) -> World:
    """Nothing of the event was in the checkpoint; two of its steps are in the journal."""
    world = World([created(0, 1, "steps"), *(created(at, 1) for at in more)])
    world.take()
    world.do_steps(0, 2)
    world.crash()
    return world


def test_the_tail_is_read_back_after_a_second_crash_before_its_event_came_again() -> None:
    world = lost_after_two_steps()
    world.put_in(created(50, 2))
    world.pass_time(100)
    world.checkpoint()

    world.crash()
    world.finish()

    assert Counter(EFFECTS.values()) == {1: 3}


def test_the_noted_offset_does_not_pass_steps_that_are_in_the_tail_alone() -> None:
    world = lost_after_two_steps()
    world.put_in(created(50, 2))
    world.pass_time(100)
    assert offset(world) is None

    world.finish()
    world.pass_time(100)

    assert offset(world) == 3


def test_a_tail_that_no_event_came_for_within_an_hour_is_given_up() -> None:
    world = lost_after_two_steps()
    world.put_in(created(50, 2))

    world.pass_time(HOUR_MS + 10_000)
    world.pass_time(10_000)

    assert offset(world) == 2


def test_steps_of_an_event_that_waits_go_into_state_with_it() -> None:
    """The event before it was decided after the checkpoint too, and has to be decided again first."""
    world = World([created(0, 1), created(1, 1, "steps")])
    world.take()
    world.take()
    world.checkpoint()
    world.end_run(0)
    world.pass_time(100)
    world.do_steps(0, 2)
    world.crash()

    world.pass_time(HOUR_MS * 2)

    assert offset(world) == 2
    assert len([entry for entry in world.durable.state if entry[:1] == codec.JOURNAL]) == 2
    world.finish()
    assert Counter(EFFECTS.values()) == {1: 3}


@pytest.mark.parametrize("comes_again", ["before", "after"])
def test_a_shard_that_is_held_for_hours_repeats_no_step(comes_again: str) -> None:
    world = World([created(0, 1, "steps")])
    world.take()
    if comes_again == "before":
        world.checkpoint()
    world.do_steps(0, 2)
    world.crash()
    world.command("pause")
    world.take()

    world.pass_time(HOUR_MS * 3)
    world.checkpoint()
    world.crash()
    world.command("resume")
    world.finish()

    assert Counter(EFFECTS.values()) == {1: 3}
    assert [outcome.status for outcome in world.outcomes()] == ["decided"]


def test_an_idle_shard_notes_how_far_the_journal_is() -> None:
    world = World([created(0, 1)])
    world.finish()
    assert world.journal is not None
    world.journal.written += [step(number) for number in range(4)]

    world.pass_time(world.spec.journal.mark_interval_ms)
    world.pass_time(world.spec.journal.mark_interval_ms)

    assert offset(world) == 4


def test_without_a_journal_an_idle_shard_has_no_timer() -> None:
    world = World([created(0, 1)], write_ahead="none")
    world.finish()

    world.pass_time(HOUR_MS)

    assert world.durable.timers == set()
    assert codec.HEAD_KEY not in world.durable.state


@pytest.mark.parametrize("ahead", ["steps", "all"])
def test_the_offset_is_noted_when_the_steps_of_a_run_are_in_state(ahead: str) -> None:
    world = World([created(0, 1, "steps")], write_ahead=ahead)  # type: ignore[arg-type]
    world.take()
    world.do_steps(0, 2)

    world.pass_time(100)

    assert offset(world) == 2
    assert len([entry for entry in world.durable.state if entry[:1] == codec.JOURNAL]) == 2
    world.checkpoint()
    world.crash()
    world.finish()
    assert Counter(EFFECTS.values()) == {1: 3}


# Time


SENT: list[datetime] = []


def send(at: datetime) -> None:
    SENT.append(at)


class Timed(Agent[Seen, Decided]):
    @on(TABLE)
    async def thing(self, ctx: Context[Seen, Decided], change: Change[Thing]) -> None:
        await ctx.step("effect", send, ctx.now + timedelta(days=1))
        await ctx.step("again", send, ctx.now)
        ctx.emit(Decided(thing=change.row.id, seen=0))


@pytest.mark.parametrize("checkpointed", [True, False])
def test_now_is_what_it_was_in_the_run_whose_steps_were_written_ahead(checkpointed: bool) -> None:
    """Also when no checkpoint knew the event: otherwise a step that is given the time would be done again."""
    SENT.clear()
    world = World([created(0, 1)], agent_class=Timed)
    world.take()
    if checkpointed:
        world.checkpoint()
    world.do_steps(0, 1)

    world.pass_time(5_000)
    world.crash()
    world.finish()

    assert [SENT[1] + timedelta(days=1), SENT[1]] == SENT
    assert [outcome.times.accepted_at_ms for outcome in world.outcomes()] == [1_000]
