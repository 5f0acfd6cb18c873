"""A few rows of the captured table, and what of them is in its topic."""

from __future__ import annotations

import psycopg

from tests.chaos.capture.history import TOPIC
from tests.pipeline.ledger import Topics
from tests.pipeline.stack import LiveStack

ROWS = 200


def insert(database: psycopg.Connection[object], first: int, revision: str) -> None:
    database.execute(
        "INSERT INTO public.accounts (id, owner_id, amount, revision)"
        " SELECT n, n %% 50, 0, %s || n FROM generate_series(%s::bigint, %s::bigint) AS n",
        [revision, first, first + ROWS - 1],
    )


def captured(stack: LiveStack, first: int) -> dict[int, tuple[str, str]]:
    """Row -> operation and revision of its newest record."""
    topics = Topics(stack.bootstrap_servers, [TOPIC])
    try:
        topics.read_to_end()
        found = {}
        for record in sorted(topics.records[TOPIC], key=lambda record: record.position):
            row = record.json["after"] or record.json["before"]
            if first <= row["id"] < first + ROWS:
                found[row["id"]] = (record.json["op"], row["revision"])
        return found
    finally:
        topics.close()
