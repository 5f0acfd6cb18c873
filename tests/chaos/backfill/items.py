"""A table of rows, a writer that changes some of them, and what the table's topic says of each."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.pipeline.ledger import Record
from tests.pipeline.waiting import until

TABLE, TOPIC = "public.items", "shelf.public.items"
FILL = "INSERT INTO public.items (id, revision) SELECT n, 0 FROM generate_series(1, %s::bigint) AS n"
STARTED_TIMEOUT_S = 30
Connection = psycopg.Connection[tuple[Any, ...]]


class Writer:
    """Changes the first half of the rows, deletes some of them and adds others, at a rate; the second half
    stays as it was made."""

    def __init__(self, connection: Connection, rows: int, changes_per_second: float) -> None:
        self._connection, self._pause_s = connection, 1 / changes_per_second
        self._random = random.Random(7)
        self._half, self._next = rows // 2, rows + 1
        self.changes = 0

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(self._pause_s):
            self.changes += 1
            kind, id_ = self._random.random(), self._random.randint(1, self._half)
            if kind < 0.8:
                self._do("UPDATE public.items SET revision = %s WHERE id = %s", self.changes, id_)
            elif kind < 0.9:
                self._do("DELETE FROM public.items WHERE id = %s", id_)
            else:
                self._do("INSERT INTO public.items (revision, id) VALUES (%s, %s)", self.changes, self._next)
                self._next += 1

    def _do(self, statement: str, *values: int) -> None:
        self._connection.execute(statement, values)


@contextmanager
def writing(connect: Callable[[], Connection], rows: int, changes_per_second: float) -> Iterator[Writer]:
    """Until the block ends; what ended the writer before is raised then."""
    stop, failed = threading.Event(), list[BaseException]()
    with connect() as connection:
        writer = Writer(connection, rows, changes_per_second)

        def run() -> None:
            try:
                writer.run(stop)
            except BaseException as error:  # noqa: BLE001  (handed to who waits for this thread)
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            until("changes", lambda: writer.changes or failed, STARTED_TIMEOUT_S)
            yield writer
        finally:
            stop.set()
            thread.join()
    if failed:
        raise failed[0]


def is_backfilled(record: Record) -> bool:
    return bool(record.json["op"] == "r" and record.json["source"]["snapshot"] == "incremental")


def id_of(record: Record) -> int:
    return int((record.json["after"] or record.json["before"])["id"])


def newest(records: Iterable[Record]) -> dict[int, Mapping[str, Any]]:
    """By id, the row as the last record of it has it; deleted ones are not there."""
    rows: dict[int, Mapping[str, Any]] = {}
    for record in sorted(records, key=lambda record: record.position):
        rows.pop(id_of(record), None)
        if record.json["op"] != "d":
            rows[id_of(record)] = record.json["after"]
    return rows
