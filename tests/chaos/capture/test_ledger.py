"""Whatever is killed, the topic is the table's history: nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial

from confluent_kafka import Consumer, TopicPartition

from tests.chaos.capture.history import TOPIC, assert_same, happened, keep
from tests.chaos.capture.writers import COPY, OWNERS, writing
from tests.pipeline.ledger import Topics
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import SIZES, in_make_chaos_alone
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

WRITERS = 4
LARGE_ID = 9_000_000_000
LARGE_ROWS = 20_000
"""Of a COPY, and of a transaction: more than Connect sends at once."""
BACK_TIMEOUT_S, CAUGHT_UP_TIMEOUT_S = 240, 300
OTHERS = ("kafka", "postgres")


@in_make_chaos_alone("that a captured table's topic is its history, whatever is killed")
def test_the_topic_is_the_tables_history_whatever_is_killed(pipeline: Pipeline) -> None:
    stack, sizes, chance = pipeline.stack, SIZES, random.Random(4)
    with stack.database() as database:
        keep(database)
    victims = ["connect"] * sizes.capture_connect_kills + [*OTHERS] * sizes.capture_other_kills
    chance.shuffle(victims)
    began = time.monotonic()
    with writing(stack.database, WRITERS, sizes.capture_per_second) as writers:
        for victim in victims:
            time.sleep(chance.uniform(0.5, 3))
            kill(stack, victim)
            until(f"{victim} is back", partial(serves, stack, victim), BACK_TIMEOUT_S)
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


def kill(stack: LiveStack, program: str) -> int:
    """Returns the pid that was."""
    pid = stack.processes()[program]
    os.kill(pid, signal.SIGKILL)
    return pid


def serves(stack: LiveStack, program: str) -> bool:
    if program == "connect":
        return stack.is_capturing()
    return program in stack.processes()


def in_the_midst_of(stack: LiveStack, write: Callable[[LiveStack, int], None], first_id: int) -> None:
    """Kill Connect while it sends a transaction that is larger than any of its batches."""
    before = end_of(stack)
    write(stack, first_id)
    until("some of it is sent", lambda: end_of(stack) > before + LARGE_ROWS // 20, BACK_TIMEOUT_S)
    kill(stack, "connect")
    sent = end_of(stack) - before
    assert sent < LARGE_ROWS, "it was sent whole before the kill"
    until("connect is back", lambda: serves(stack, "connect"), BACK_TIMEOUT_S)


def large_copy(stack: LiveStack, first_id: int) -> None:
    with stack.database() as database, database.cursor() as cursor, cursor.copy(COPY) as copy:
        for number in range(LARGE_ROWS):
            copy.write_row((first_id + number, number % OWNERS, 0, f"copied-{first_id + number}"))


def large_transaction(stack: LiveStack, first_id: int) -> None:
    insert = (
        "INSERT INTO public.accounts (id, owner_id, amount, revision)"
        " SELECT n, n %% %(owners)s, 0, 'made-' || n"
        " FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n"
    )
    change = (
        "UPDATE public.accounts SET amount = 1, revision = 'changed-' || id"
        " WHERE id BETWEEN %(first)s AND %(last)s"
    )
    numbers = {"owners": OWNERS, "first": first_id, "last": first_id + LARGE_ROWS // 2 - 1}
    with stack.database() as database, database.transaction():
        database.execute(insert, numbers)
        database.execute(change, numbers)


def large_change_of_keys(stack: LiveStack, first_id: int) -> None:
    """Each row's change is two records, a delete and a create, from one place of the log. One record before
    them makes them odd: batches of an even size end between the two."""
    change = (
        "UPDATE public.accounts SET owner_id = owner_id + 1, revision = 'moved-' || revision"
        " WHERE id >= %s AND id < %s"
    )
    with stack.database() as database, database.transaction():
        database.execute(
            "UPDATE public.accounts SET revision = 'odd-' || revision WHERE id = %s",
            [first_id + LARGE_ROWS - 1],
        )
        database.execute(change, [first_id, first_id + LARGE_ROWS // 2])


def end_of(stack: LiveStack) -> int:
    """Records of the topic by now, of open transactions too."""
    consumer = Consumer({"bootstrap.servers": stack.bootstrap_servers, "group.id": "ends", "log_level": 0})
    try:
        partitions = consumer.list_topics(TOPIC, timeout=30).topics[TOPIC].partitions
        ends = (
            consumer.get_watermark_offsets(TopicPartition(TOPIC, each), timeout=30) for each in partitions
        )
        return sum(end for _, end in ends)
    finally:
        consumer.close()


def caught_up(topics: Topics, count: int) -> None:
    def drained() -> bool:
        topics.drain()
        return len(topics.records[TOPIC]) >= count

    until("all changes in the topic", drained, CAUGHT_UP_TIMEOUT_S, lambda: len(topics.records[TOPIC]))
