"""Shards and Flink's key groups.

The key of the stream is a shard id, not a number from 0: Flink hashes keys to key groups, and 128
consecutive numbers hit only 75 of 128 groups. Ids are chosen by the group that they hash to, so that
every shard has a key group of its own (while there are enough) and subtasks get equal shares.
"""

from __future__ import annotations

from itertools import count

_MASK = 0xFFFFFFFF


def shard_ids(shards: int, max_parallelism: int) -> tuple[int, ...]:
    """The id of each shard; the same for the same arguments, which are fixed for a job's life."""
    wanted = [shard * max_parallelism // shards for shard in range(shards)]
    open_groups: dict[int, list[int]] = {}
    for shard, group in enumerate(wanted):
        open_groups.setdefault(group, []).append(shard)
    ids = [0] * shards
    for candidate in count():
        waiting = open_groups.get(key_group(candidate, max_parallelism))
        if waiting:
            ids[waiting.pop(0)] = candidate
            if not any(open_groups.values()):
                return tuple(ids)
    raise AssertionError("unreachable: every key group has ids")


def key_group(shard_id: int, max_parallelism: int) -> int:
    """As ``KeyGroupRangeAssignment.assignToKeyGroup`` of a ``Row`` with this one integer."""
    return _murmur(shard_id + _HASH_OF_ROW) % max_parallelism


def subtask(group: int, parallelism: int, max_parallelism: int) -> int:
    """As ``KeyGroupRangeAssignment.computeOperatorIndexForKeyGroup``."""
    return group * parallelism // max_parallelism


def shards_of(shards: int, max_parallelism: int, parallelism: int, index: int) -> tuple[int, ...]:
    """The shards of one subtask, by their index."""
    return tuple(
        shard
        for shard, id_ in enumerate(shard_ids(shards, max_parallelism))
        if subtask(key_group(id_, max_parallelism), parallelism, max_parallelism) == index
    )


_HASH_OF_ROW = 62
"""What ``Row.hashCode`` adds to the hash of its one field."""


def _murmur(code: int) -> int:
    """``MathUtils.murmurHash``."""
    code = code * 0xCC9E2D51 & _MASK
    code = _rotate_left(code, 15) * 0x1B873593 & _MASK
    code = (_rotate_left(code, 13) * 5 + 0xE6546B64) & _MASK
    code ^= 4
    code = (code ^ code >> 16) * 0x85EBCA6B & _MASK
    code = (code ^ code >> 13) * 0xC2B2AE35 & _MASK
    code ^= code >> 16
    if code < 1 << 31:
        return code
    return 0 if code == 1 << 31 else (1 << 32) - code


def _rotate_left(value: int, distance: int) -> int:
    return (value << distance | value >> 32 - distance) & _MASK
