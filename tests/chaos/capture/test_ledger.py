"""Whatever is killed, the topic is the table's history: nothing is lost, nothing is there twice."""

from __future__ import annotations

import random
import time

from headrace.operations.victims import BROKER, CONNECT, program
from tests.chaos.capture.breaking import (
    LARGE_ROWS,
    caught_up,
    in_the_midst_of,
    kill_and_wait,
    large_copy,
    large_transaction,
)
from tests.chaos.capture.history import TOPIC, assert_same, happened, keep
from tests.chaos.capture.writers import writing
from tests.pipeline.ledger import Topics
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import SIZES

WRITERS = 4
LARGE_ID = 9_000_000_000
OTHERS = (BROKER, program("postgres"))


def test_the_topic_is_the_tables_history_whatever_is_killed(pipeline: Pipeline) -> None:
    stack, sizes, chance = pipeline.stack, SIZES, random.Random(4)
    with stack.database() as database:
        keep(database)
    victims = [CONNECT] * sizes.capture_connect_kills + [*OTHERS] * sizes.capture_other_kills
    chance.shuffle(victims)
    began = time.monotonic()
    with writing(stack.database, WRITERS, sizes.capture_per_second) as writers:
        for victim in victims:
            time.sleep(chance.uniform(0.5, 3))
            kill_and_wait(stack, victim)
        for number, write in enumerate((large_copy, large_transaction)):
            in_the_midst_of(stack, write, LARGE_ID + number * LARGE_ROWS)
        time.sleep(max(0.0, began + sizes.capture_s - time.monotonic()))
    wrote = sum(writer.changes for writer in writers)
    with stack.database() as database:
        history = happened(database)
    topics = Topics(stack.bootstrap_servers, [TOPIC])
    try:
        caught_up(topics, len(history))
        assert_same(topics.records[TOPIC], history)
    finally:
        topics.close()
    figures = {"changes": len(history), "by_writers": wrote, "kills": len(victims) + 2}
    print(f"capture: {figures}")
