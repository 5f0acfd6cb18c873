"""What is killed while changes are captured, and what large transactions it is killed in the midst of."""

from __future__ import annotations

from collections.abc import Callable

from headrace.operations.victims import CONNECT, Victim
from tests.chaos.capture.history import TOPIC
from tests.chaos.capture.writers import COPY, OWNERS
from tests.pipeline.ledger import Topics
from tests.pipeline.offsets import ends
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

LARGE_ROWS = 20_000
"""Of a COPY, and of a transaction: more than Connect sends at once."""
BACK_TIMEOUT_S, CAUGHT_UP_TIMEOUT_S = 240, 300


def kill_and_wait(stack: LiveStack, victim: Victim) -> None:
    """Until it is back; Connect, until it captures again."""
    _wait(stack, victim, victim.kill(stack.found))


def _wait(stack: LiveStack, victim: Victim, before: frozenset[int]) -> None:
    until(f"{victim.name} is back", lambda: victim.is_back(stack.found, before), BACK_TIMEOUT_S)
    if victim is CONNECT:
        until("changes are captured", stack.is_capturing, BACK_TIMEOUT_S)


def in_the_midst_of(stack: LiveStack, write: Callable[[LiveStack, int], None], first_id: int) -> None:
    """Kill Connect while it sends a transaction that is larger than any of its batches."""
    before = end_of(stack)
    write(stack, first_id)
    until("some of it is sent", lambda: end_of(stack) > before + LARGE_ROWS // 20, BACK_TIMEOUT_S)
    killed = CONNECT.kill(stack.found)
    sent = end_of(stack) - before
    assert sent < LARGE_ROWS, "it was sent whole before the kill"
    _wait(stack, CONNECT, killed)


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
    return sum(ends(stack.bootstrap_servers, TOPIC).values())


def caught_up(topics: Topics, count: int) -> None:
    def drained() -> bool:
        topics.drain()
        return len(topics.records[TOPIC]) >= count

    until("all changes in the topic", drained, CAUGHT_UP_TIMEOUT_S, lambda: len(topics.records[TOPIC]))
