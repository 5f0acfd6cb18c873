"""Up to where a journal's steps are settled, and what a tail of it gives to whom."""

from __future__ import annotations

from headrace_agents.codec import INPUT_DIGEST_BYTES, JournalEntry
from headrace_agents.journal import OWNER_BYTES, Progress, TailReader, Written, encode_claim, encode_step
from headrace_agents.records import Position

LEFT, RIGHT, ELSEWHERE = 0, 2, 1
"""Two shards of partition 0 and one of partition 1."""
OWNER, OTHER = bytes(OWNER_BYTES), b"x" * OWNER_BYTES
EVENT = Position("things", 0, 5)
PARTITIONS = {LEFT: 0, RIGHT: 0, ELSEWHERE: 1}


def test_a_step_counts_when_it_is_settled() -> None:
    progress = Progress(PARTITIONS)
    progress.acknowledge_step(LEFT, 7, awaited=True)
    assert progress.until.get(LEFT, 7) == 7
    progress.settle(LEFT, 7)
    assert progress.until[LEFT] == 8


def test_one_that_is_not_settled_holds_back_those_after_it() -> None:
    progress = Progress(PARTITIONS)
    progress.acknowledge_step(LEFT, 7, awaited=True)
    progress.acknowledge_step(LEFT, 9, awaited=True)
    progress.settle(LEFT, 9)
    assert progress.until[LEFT] == 7
    progress.settle(LEFT, 7)
    assert progress.until[LEFT] == 10


def test_other_shards_steps_hold_nothing_back() -> None:
    progress = Progress(PARTITIONS)
    progress.acknowledge_step(RIGHT, 7, awaited=True)
    progress.acknowledge_step(LEFT, 8, awaited=True)
    progress.settle(LEFT, 8)
    assert progress.until[LEFT] == 9
    assert ELSEWHERE not in progress.until


def test_a_step_that_nobody_waits_for_any_more_holds_nothing_back() -> None:
    progress = Progress(PARTITIONS)
    progress.acknowledge_step(LEFT, 7, awaited=False)
    assert progress.until[LEFT] == 8


def test_a_mark_takes_the_idle_shards_of_its_partition_along() -> None:
    progress = Progress(PARTITIONS)
    progress.acknowledge_step(LEFT, 7, awaited=True)
    progress.acknowledge_mark(0, 20)
    assert progress.until == {LEFT: 7, RIGHT: 21}
    progress.settle(LEFT, 7)
    assert progress.until == {LEFT: 21, RIGHT: 21}


def tail(*records: tuple[int, bytes]) -> TailReader:
    reader = TailReader()
    for offset, value in records:
        reader.take(offset, value)
    return reader


def step(number: int, owner: bytes = OWNER, result: bytes = b"") -> bytes:
    entry = JournalEntry("step", number, bytes(INPUT_DIGEST_BYTES), result)
    return encode_step(LEFT, owner, Written(EVENT, 0, entry))


def numbers(reader: TailReader, start: int) -> list[int]:
    return [written.entry.occurrence for written in reader.of(LEFT, start)]


def test_a_tail_that_was_read_for_another_shard_gives_no_step_from_before_its_own() -> None:
    reader = tail((10, step(0)), (11, step(1)), (12, encode_claim(LEFT, OTHER)))
    assert numbers(reader, 11) == [1]
    assert numbers(reader, 10) == [0, 1]


def test_what_was_read_later_may_be_from_before() -> None:
    reader = tail((12, step(2, OTHER)), (13, step(3)), (10, step(0)), (11, encode_claim(LEFT, OTHER)))
    assert numbers(reader, 10) == [0, 2]
    assert reader.discarded == 1


def test_of_a_step_that_was_written_again_the_last_one_counts() -> None:
    reader = tail((10, step(0, result=b"first")), (11, step(0, result=b"second")))
    assert [written.entry.result for written in reader.of(LEFT, 10)] == [b"second"]
