"""Writers of a table: single rows, transactions of several, COPY, changes of keys, deletes; at a rate, from
threads, each with rows of its own."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.pipeline.waiting import until

OWNERS = 500
INSERT = "INSERT INTO public.accounts (id, owner_id, amount, revision) VALUES (%s, %s, %s, %s)"
COPY = "COPY public.accounts (id, owner_id, amount, revision) FROM STDIN"
COPIED, TOGETHER = (50, 400), (3, 20)
"""Rows of a COPY and of a transaction: least and most."""
RECONNECT_PAUSE_S = 0.2
STARTED_TIMEOUT_S = 30
Connection = psycopg.Connection[tuple[Any, ...]]
Row = tuple[int, int, int, str]


class Writer:
    """One thread. A transaction that a failure ended may have been committed or not: the table's history
    says which, and the rows are looked up again."""

    def __init__(self, connect: Callable[[], Connection], number: int, rate: float) -> None:
        self._connect, self._rate = connect, rate
        self._random = random.Random(number)
        self._ids = itertools.count(number * 100_000_000)
        self._revisions = (f"{number}-{count}" for count in itertools.count())
        self._first = number * 100_000_000
        self._live: list[int] = []
        self.changes = 0

    def run(self, stop: threading.Event) -> None:
        """At the rate on average; what an outage held up is not made up for."""
        connection: Connection | None = None
        while not stop.is_set():
            began = time.monotonic()
            try:
                if connection is None:
                    connection = self._connected()
                made = self._transaction(connection)
            except psycopg.OperationalError:
                connection = None
                stop.wait(RECONNECT_PAUSE_S)
                continue
            self.changes += made
            stop.wait(max(0.0, made / self._rate - (time.monotonic() - began)))
        if connection is not None:
            connection.close()

    def _connected(self) -> Connection:
        connection = self._connect()
        own = (self._first, self._first + 99_999_999)
        rows = connection.execute("SELECT id FROM public.accounts WHERE id BETWEEN %s AND %s", own).fetchall()
        self._live = [id_ for (id_,) in rows]
        return connection

    def _transaction(self, connection: Connection) -> int:
        """Returns how many rows it changed."""
        kind = self._random.random()
        with connection.transaction():
            if kind < 0.02:
                return self._copy(connection)
            if kind < 0.10:
                return sum(self._single(connection) for _ in range(self._random.randint(*TOGETHER)))
            return self._single(connection)

    def _copy(self, connection: Connection) -> int:
        rows = [self._row() for _ in range(self._random.randint(*COPIED))]
        with connection.cursor() as cursor, cursor.copy(COPY) as copy:
            for row in rows:
                copy.write_row(row)
        self._live += [row[0] for row in rows]
        return len(rows)

    def _single(self, connection: Connection) -> int:
        kind = self._random.random()
        if kind < 0.5 or len(self._live) < 50:
            row = self._row()
            connection.execute(INSERT, row)
            self._live.append(row[0])
        elif kind < 0.8:
            self._update(connection, "amount = amount + 1")
        elif kind < 0.9:
            # To another owner: the key of the row's records.
            self._update(connection, f"owner_id = {self._random.randrange(OWNERS)}")
        else:
            at = self._random.randrange(len(self._live))
            self._live[at], self._live[-1] = self._live[-1], self._live[at]
            connection.execute("DELETE FROM public.accounts WHERE id = %s", [self._live.pop()])
        return 1

    def _update(self, connection: Connection, change: str) -> None:
        connection.execute(
            f"UPDATE public.accounts SET {change}, revision = %s WHERE id = %s",
            [next(self._revisions), self._random.choice(self._live)],
        )

    def _row(self) -> Row:
        return next(self._ids), self._random.randrange(OWNERS), 0, next(self._revisions)


@contextmanager
def writing(
    connect: Callable[[], Connection], writers: int, changes_per_second: float
) -> Iterator[list[Writer]]:
    """So many writers, until the block ends; what ended one of them is raised then."""
    made = [Writer(connect, number + 1, changes_per_second / writers) for number in range(writers)]
    stop, failed = threading.Event(), list[BaseException]()

    def run(writer: Writer) -> None:
        try:
            writer.run(stop)
        except BaseException as error:  # noqa: BLE001  (handed to who waits for this thread)
            failed.append(error)

    threads = [threading.Thread(target=run, args=(writer,)) for writer in made]
    for thread in threads:
        thread.start()
    try:
        until("changes", lambda: all(writer.changes for writer in made) or failed, STARTED_TIMEOUT_S)
        yield made
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]
