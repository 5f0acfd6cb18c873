"""Orders that are placed, changed and removed in every table of every source, before, while and after its
schema changes: no statement names what a change takes away."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
from psycopg import sql

from headrace.operations.demo import connect
from headrace_testing_agents.orders import TABLES
from tests.pipeline.stack import LiveStack

CUSTOMERS = 7
A_TURN_S = 0.4
DEFAULT = 7
"""Of the column ``amount``, which is what it has without being named."""
SCHEMA_CHANGES = {
    "added": "ALTER TABLE added ADD COLUMN note text DEFAULT 'none'",
    "keyed": "ALTER TABLE keyed DROP CONSTRAINT keyed_pkey, ADD PRIMARY KEY (customer_id, id)",
    "retyped": (
        "ALTER TABLE retyped ALTER COLUMN amount DROP DEFAULT,"
        " ALTER COLUMN amount TYPE text USING 'about ' || amount,"
        " ALTER COLUMN amount SET DEFAULT 'about 7'"
    ),
    "renamed": "ALTER TABLE renamed RENAME COLUMN amount TO total",
    "dropped": "ALTER TABLE dropped DROP COLUMN amount",
}


def prepare(stack: LiveStack) -> None:
    for source in stack.plan.sources:
        with connect(stack.found, source.database) as database:
            for table in TABLES:
                database.execute(f"ALTER TABLE {table} ALTER COLUMN amount SET DEFAULT {DEFAULT}")


def change_schemas(stack: LiveStack) -> None:
    for source in stack.plan.sources:
        with connect(stack.found, source.database) as database:
            for statement in SCHEMA_CHANGES.values():
                database.execute(statement)


class Placing:
    """One thread a source; what it has committed by topic."""

    def __init__(self, stack: LiveStack) -> None:
        self._stack, self._stop = stack, threading.Event()
        self.committed: Counter[str] = Counter()
        self.failed: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(source.name, source.database), name=source.name)
            for source in stack.plan.sources
        ]

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()
        if self.failed:
            raise self.failed[0]

    def _run(self, source: str, database: str) -> None:
        try:
            with connect(self._stack.found, database) as connection:
                for turn in count(1):
                    for table in TABLES:
                        self.committed[f"{source}.public.{table}"] += place(connection, table, turn)
                    if self._stop.wait(A_TURN_S):
                        return
        except BaseException as error:  # noqa: BLE001  (raised by who waits for the thread)
            self.failed.append(error)


def place(connection: psycopg.Connection[tuple[object, ...]], table: str, turn: int) -> int:
    """Places an order, moves on the one before, removes an old one; returns how many rows changed."""
    name = sql.Identifier(table)
    customer = turn % CUSTOMERS
    insert = sql.SQL("INSERT INTO {} (id, customer_id) VALUES (%s, %s)").format(name)
    update = sql.SQL("UPDATE {} SET customer_id = customer_id WHERE id = %s").format(name)
    delete = sql.SQL("DELETE FROM {} WHERE id = %s").format(name)
    done = (
        connection.execute(insert, (turn, customer)),
        connection.execute(update, (turn - 1,)),
        connection.execute(delete, (turn - 5,)),
    )
    return sum(each.rowcount for each in done)
