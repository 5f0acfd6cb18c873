"""Shards have key groups of their own, and subtasks get equal shares."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace_agents.shards import key_group, shard_ids, subtask


@pytest.mark.parametrize(("shard", "group"), [(0, 689), (1, 444), (7, 177), (12345, 640)])
def test_key_groups_are_those_that_flink_2_3_computes(shard: int, group: int) -> None:
    assert key_group(shard, 720) == group


@settings(max_examples=30, deadline=None)
@example(175, 720, 11)
@given(st.integers(1, 256), st.sampled_from([1, 7, 128, 720]), st.integers(1, 16))
def test_shards_are_spread_evenly(shards: int, max_parallelism: int, parallelism: int) -> None:
    ids = shard_ids(shards, max_parallelism)
    groups = Counter(key_group(shard, max_parallelism) for shard in ids)

    assert len(set(ids)) == shards
    assert max(groups.values()) == -(-shards // max_parallelism)
    if shards <= max_parallelism and parallelism <= max_parallelism:
        # Shards are whole. Evenly spaced, at most ceil(groups * shards / max_parallelism) of them fall into
        # a subtask's ceil(max_parallelism / parallelism) groups: never more than one above a whole share.
        assert fullest_subtask(groups, max_parallelism, parallelism) <= math.ceil(shards / parallelism) + 1


@pytest.mark.parametrize("parallelism", range(1, 17))
def test_the_planned_shards_are_at_most_one_above_an_exact_share(parallelism: int) -> None:
    groups = Counter(key_group(shard, 720) for shard in shard_ids(128, 720))
    assert fullest_subtask(groups, 720, parallelism) <= 128 / parallelism + 1


def fullest_subtask(groups: Iterable[int], max_parallelism: int, parallelism: int) -> int:
    """Shards of the subtask that has the most."""
    return max(Counter(subtask(group, parallelism, max_parallelism) for group in groups).values())
