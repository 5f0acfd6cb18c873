"""Rows of one page of a COPY are at one place of the log: a kill amid a page loses and repeats none."""

from __future__ import annotations

from headrace.operations.victims import CONNECT
from tests.chaos.capture.breaking import BACK_TIMEOUT_S, end_of, kill_and_wait
from tests.chaos.capture.connecting import batches_of, same_as_history
from tests.chaos.capture.writers import COPY, OWNERS
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import SIZES, in_make_chaos_alone
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

FIRST_ID = 7_000_000_000
COPIES, ROWS = 400, 40
"""Of one transaction each, which a page holds: so each place is the transaction's beginning, too."""
ODD = "7"


@in_make_chaos_alone("that rows of a COPY come once, wherever in a page Connect is killed")
def test_rows_of_a_copy_come_once_wherever_in_a_page_connect_is_killed(pipeline: Pipeline) -> None:
    """With batches that end amid a page: Debezium's own connector sent one row twice, or lost the rest of
    the page where one of it was sent."""
    stack = pipeline.stack
    with same_as_history(stack), batches_of(stack, ODD):
        for number in range(SIZES.capture_key_kills):
            before = end_of(stack)
            _copies(stack, FIRST_ID + number * COPIES * ROWS)
            until("some are sent", lambda: end_of(stack) > before + ROWS, BACK_TIMEOUT_S)  # noqa: B023
            kill_and_wait(stack, CONNECT)


def _copies(stack: LiveStack, first_id: int) -> None:
    with stack.database() as database, database.cursor() as cursor:
        for number in range(first_id, first_id + COPIES * ROWS, ROWS):
            with database.transaction(), cursor.copy(COPY) as copy:
                for id_ in range(number, number + ROWS):
                    copy.write_row((id_, id_ % OWNERS, 0, f"copied-{id_}"))
