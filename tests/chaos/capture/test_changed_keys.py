"""A change of a record's key is two records from one place of the log: a kill between them loses neither."""

from __future__ import annotations

from tests.chaos.capture.breaking import (
    LARGE_ROWS,
    caught_up,
    in_the_midst_of,
    large_change_of_keys,
    large_copy,
)
from tests.chaos.capture.connecting import batches_of, same_as_history
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import SIZES, in_make_chaos_alone

FIRST_ID = 8_000_000_000
ODD = "7"


@in_make_chaos_alone("that a change of a key is whole, whenever Connect is killed")
def test_a_change_of_a_key_is_whole_whenever_connect_is_killed(pipeline: Pipeline) -> None:
    """With batches of an odd size, so that half of them end between the two: Debezium's own connector then
    lost the second of them at two of three kills."""
    stack = pipeline.stack
    with same_as_history(stack) as topics:
        large_copy(stack, FIRST_ID)
        caught_up(topics, LARGE_ROWS)
        with batches_of(stack, ODD):
            for _ in range(SIZES.capture_key_kills):
                in_the_midst_of(stack, large_change_of_keys, FIRST_ID)
