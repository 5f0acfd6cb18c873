"""A table of rows, a writer that changes some of them, and what the table's topic says of each."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from pydantic_core import from_json

from headrace.local.topics import OUTAGES
from tests.pipeline.waiting import NeverHeldError, until

TABLE, TOPIC = "public.items", "shelf.public.items"
FILL = "INSERT INTO public.items (id, revision) SELECT n, 0 FROM generate_series(1, %s::bigint) AS n"
STARTED_TIMEOUT_S, METADATA_TIMEOUT_S = 30, 15
DELETED = -1
"""In the place of a revision."""
FETCH_MS, TAKEN_AT_ONCE, TAKEN_FOR_S = 5, 500, 0.005
Connection = psycopg.Connection[tuple[Any, ...]]


class Writer:
    """Changes the first half of the rows, deletes some of them and adds others, at a constant rate that waits
    for nothing; the second half stays as it was made. A row's revision grows with every change, and what is
    deleted does not come back."""

    def __init__(
        self, connection: Connection, rows: int, changes_per_second: float, made_before: int
    ) -> None:
        self._connection, self._rate = connection, changes_per_second
        self._random = random.Random(made_before)
        self._half, self._new, self._before = rows // 2, rows + 1 + made_before, made_before
        self.changes = 0

    def run(self, stop: threading.Event) -> None:
        started = time.monotonic()
        while not stop.wait(max(0.0, started + self.changes / self._rate - time.monotonic())):
            self.changes += 1
            self._change(self._before + self.changes)

    def _change(self, revision: int) -> None:
        kind, id_ = self._random.random(), self._random.randint(1, self._half)
        if kind < 0.8:
            self._do("UPDATE public.items SET revision = %s WHERE id = %s", revision, id_)
        elif kind < 0.9:
            self._do("DELETE FROM public.items WHERE id = %s", id_)
        else:
            self._do("INSERT INTO public.items (revision, id) VALUES (%s, %s)", revision, self._new)
            self._new += 1

    def _do(self, statement: str, *values: int) -> None:
        self._connection.execute(statement, values)


class Writing:
    """Writers of one table, one after the other."""

    def __init__(self, connect: Callable[[], Connection], rows: int, changes_per_second: float) -> None:
        self._connect, self._rows, self._rate = connect, rows, changes_per_second
        self._made = 0

    @contextmanager
    def live(self) -> Iterator[Writer]:
        """Until the block ends; what ended the writer before is raised then."""
        stop, failed = threading.Event(), list[BaseException]()
        with self._connect() as connection:
            writer = Writer(connection, self._rows, self._rate, self._made)

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
                self._made += writer.changes
        if failed:
            raise failed[0]


class Captured:
    """The table's topic, followed from its beginning by a ``read_committed`` consumer."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "backfilled",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": FETCH_MS,
                "log_level": 0,
            }
        )
        partitions = self._consumer.list_topics(TOPIC, METADATA_TIMEOUT_S).topics[TOPIC].partitions
        self._consumer.assign([TopicPartition(TOPIC, each, OFFSET_BEGINNING) for each in partitions])
        self._newest_ms = dict.fromkeys(partitions, 0.0)
        """By partition, when its newest change was committed."""
        self.rows = dict[int, int]()
        """By id, the revision of the last record, or that it was deleted."""
        self.reads = dict[int, int]()
        """By id, how often backfills read it."""
        self.unread = set[int]()
        """Ids that a backfill has to read yet."""
        self.read, self.live = 0, 0
        """Records of backfills, and of changes."""
        self.stale = list[str]()
        """Rows that a backfill gave after a newer record of the same row."""
        self.late_ms = list[float]()
        """From the commit of each change to its record, as PostgreSQL's clock and this one say."""

    def follow(self, until_: Callable[[], object], timeout_s: float) -> None:
        """Take records until it holds."""
        deadline = time.monotonic() + timeout_s
        while not until_():
            if time.monotonic() > deadline:
                raise NeverHeldError(
                    f"not within {timeout_s:.0f} s, after {self.read} rows read and {self.live} changes"
                )
            for message in self._consumer.consume(TAKEN_AT_ONCE, TAKEN_FOR_S):
                error = message.error()
                if error is None:
                    self._take(from_json(message.value() or b""), message.partition() or 0)
                else:
                    assert error.retriable() or error.code() in OUTAGES, error.str()

    def follow_to_now(self, timeout_s: float) -> None:
        """Take what was sent so far: until each partition gave a change that was made later."""
        now_ms = time.time() * 1_000
        self.follow(lambda: min(self._newest_ms.values()) > now_ms, timeout_s)

    def begin(self, unread: Iterable[int]) -> None:
        """Forget what was counted and measured so far."""
        self.unread = set(unread)
        self.reads.clear()
        self.late_ms.clear()
        self.read = self.live = 0

    def close(self) -> None:
        self._consumer.close()

    def _take(self, change: dict[str, Any], partition: int) -> None:
        row = change["after"] or change["before"]
        id_, revision = row["id"], row["revision"]
        if change["op"] == "r" and change["source"]["snapshot"] == "incremental":
            self.read += 1
            self.reads[id_] = self.reads.get(id_, 0) + 1
            self.unread.discard(id_)
            last = self.rows.get(id_, 0)
            if last == DELETED or revision < last:
                self.stale.append(f"{row} after {last}")
        else:
            self.live += 1
            self._newest_ms[partition] = change["source"]["ts_us"] / 1_000
            self.late_ms.append(time.time() * 1_000 - self._newest_ms[partition])
        self.rows[id_] = DELETED if change["op"] == "d" else revision


def there(rows: dict[int, int]) -> dict[int, int]:
    """Without those that were deleted."""
    return {id_: revision for id_, revision in rows.items() if revision != DELETED}


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]
