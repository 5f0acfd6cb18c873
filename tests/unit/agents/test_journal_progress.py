"""Up to where a journal's steps are settled, whatever is still on its way."""

from __future__ import annotations

from headrace_agents.journal import Progress

LEFT, RIGHT, ELSEWHERE = 0, 2, 1
"""Two shards of partition 0 and one of partition 1."""
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
