"""How far backfills are, from what their connector was told and what it says of its snapshots.

Debezium's notifications carry the id of the last backfill that was started, whichever is read, so they are
told apart by their order: tables are read one after the other, as signals named them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from headrace.errors import HeadraceError
from headrace.local.context import HOST
from headrace.local.signals import SaidSignal, Signal, pause, read_signals, resume, say, stop
from headrace.local.topics import Broker, KeptRecord, read_topic
from headrace.operations.stack import Stack
from headrace.plan.connectors import CHUNK_ROWS
from headrace.plan.model import PostgresqlSourcePlan

State = Literal["waiting", "running", "paused", "done", "cancelled", "failed"]

RATE_CHUNKS = 16
"""The newest ones, by whose times the rate is told."""
POLL_S = 0.5
ENDED: tuple[State, ...] = ("done", "cancelled", "failed")


@dataclass
class TableProgress:
    """Of one table of a backfill."""

    table: str
    state: State = "waiting"
    chunks: int = 0
    rows: int = 0
    """While it is read, of whole chunks; in the end as Debezium counted them, or at most so many where the
    connector was restarted meanwhile."""
    total_rows: int | None = None
    """PostgreSQL's estimate; None where it has none."""
    reason: str | None = None
    """Of what failed: Debezium's word."""
    _ends: set[str] = field(default_factory=set, repr=False)

    def read_to(self, last_key: str, total_rows: int | None) -> None:
        """A chunk was read; one that is read again after a restart is the same chunk."""
        self._ends.add(last_key)
        self.state, self.chunks = "running", len(self._ends)
        self.total_rows = self.total_rows if total_rows is None else total_rows
        self.rows = self.chunks * CHUNK_ROWS

    def ended(self, scanned: int, status: str) -> None:
        """`scanned`: rows since the connector started."""
        self.state = "done" if status in ("SUCCEEDED", "EMPTY") else "failed"
        self.reason = None if self.state == "done" else status
        if scanned > (self.chunks - 1) * CHUNK_ROWS:
            self.rows = scanned


@dataclass
class Progress:
    """Of one backfill."""

    source: str
    id: str
    tables: tuple[TableProgress, ...]
    told_at_ms: int | None
    """None: `up` has not started it yet."""
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    paused: bool = False
    _chunk_times_ms: list[int] = field(default_factory=list, repr=False)

    @property
    def state(self) -> State:
        states = {table.state for table in self.tables}
        if states & {"running", "waiting"}:
            if self.started_at_ms is None:
                return "waiting"
            return "paused" if self.paused else "running"
        return next(state for state in ("cancelled", "failed", "done") if state in states)

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def chunks(self) -> int:
        return sum(table.chunks for table in self.tables)

    @property
    def total_rows(self) -> int | None:
        """Of the tables that were begun: of others nothing is known."""
        known = [table.total_rows for table in self.tables if table.total_rows is not None]
        return sum(known) if known else None

    @property
    def rows_per_second(self) -> float | None:
        times = self._chunk_times_ms[-RATE_CHUNKS:]
        if self.state != "running" or len(times) < 2 or times[-1] <= times[0]:
            return None
        return (len(times) - 1) * CHUNK_ROWS * 1000 / (times[-1] - times[0])

    @property
    def seconds_left(self) -> float | None:
        """Of the table that is read; None where it can't be told."""
        rate = self.rows_per_second
        reading = [table for table in self.tables if table.state == "running"]
        if not rate or not reading or reading[0].total_rows is None:
            return None
        return max(0, reading[0].total_rows - reading[0].rows) / rate

    def chunk_at(self, at_ms: int) -> None:
        self._chunk_times_ms.append(at_ms)

    def forget_rate(self) -> None:
        self._chunk_times_ms.clear()

    def as_json(self) -> dict[str, Any]:
        tables = [
            {name: value for name, value in asdict(table).items() if not name.startswith("_")}
            for table in self.tables
        ]
        said = ("rows", "total_rows", "chunks", "rows_per_second", "seconds_left")
        times = ("told_at_ms", "started_at_ms", "ended_at_ms")
        return {
            "source": self.source,
            "id": self.id,
            "state": self.state,
            **{name: getattr(self, name) for name in (*said, *times)},
            "tables": tables,
        }


def progress(
    source: PostgresqlSourcePlan, said: Sequence[SaidSignal], notifications: Iterable[KeptRecord]
) -> list[Progress]:
    """Of every backfill that was started, in that order, and then of those that are only declared."""
    starts = [each for each in said if each.signal.type == "execute-snapshot"]
    started: dict[str, Progress] = {}
    for each in starts:
        if each.signal.id == each.signal.backfill and each.signal.id not in started:
            tables = tuple(TableProgress(table) for table in each.signal.tables)
            started[each.signal.id] = Progress(source.name, each.signal.id, tables, each.at_ms)
    queue = [
        (started[each.signal.backfill], table)
        for each in starts
        if each.signal.backfill in started
        for table in started[each.signal.backfill].tables
    ]
    cancelled = {each.signal.backfill for each in said if each.signal.type == "stop-snapshot"}
    reading = _Reading(queue, cancelled)
    for record in notifications:
        reading.take(json.loads(record.value or b"{}"))
    declared = [
        Progress(source.name, backfill.id, tuple(map(TableProgress, backfill.tables)), None)
        for backfill in source.backfills
        if backfill.id not in started
    ]
    return [*started.values(), *declared]


class _Reading:
    """The tables in the order in which the connector reads them."""

    def __init__(self, queue: list[tuple[Progress, TableProgress]], cancelled: set[str]) -> None:
        self._queue = queue
        self._cancelled = cancelled

    def take(self, notification: dict[str, Any]) -> None:
        if notification.get("aggregate_type") != "Incremental Snapshot":
            return
        said, at_ms = notification["additional_data"], int(notification["timestamp"])
        match notification["type"]:
            case "STARTED":
                self._begin(said["data_collections"].split(",")[0], at_ms)
            case "IN_PROGRESS":
                self._chunk(said, at_ms)
            case "TABLE_SCAN_COMPLETED":
                self._end(said, at_ms)
            case "PAUSED":
                self._pause(paused=True)
            case "RESUMED":
                self._pause(paused=False)
            case "ABORTED":
                self._stopped(
                    [table for table in said.get("data_collections", "").split(",") if table], at_ms
                )

    def _first(self, table: str) -> tuple[Progress, TableProgress] | None:
        return next((entry for entry in self._queue if entry[1].table == table), None)

    def _begin(self, table: str, at_ms: int) -> None:
        if (entry := self._first(table)) and entry[0].started_at_ms is None:
            entry[0].started_at_ms = at_ms

    def _chunk(self, said: dict[str, str], at_ms: int) -> None:
        entry = self._first(said["current_collection_in_progress"])
        if entry is None:
            return  # heard a second time, after a kill
        self._begin(entry[1].table, at_ms)
        backfill, table = entry
        total = said.get("total_rows")
        table.read_to(said["last_processed_key"], None if total is None else int(total))
        if any(each is table for each in backfill.tables):
            backfill.chunk_at(at_ms)

    def _end(self, said: dict[str, str], at_ms: int) -> None:
        entry = self._first(said["scanned_collection"])
        if entry is not None:
            self._begin(entry[1].table, at_ms)
            entry[1].ended(int(said["total_rows_scanned"]), said["status"])
            self._remove(entry, at_ms)

    def _pause(self, *, paused: bool) -> None:
        for backfill, _ in self._queue:
            if backfill.started_at_ms is not None:
                backfill.paused = paused
                backfill.forget_rate()

    def _stopped(self, tables: Sequence[str], at_ms: int) -> None:
        for table in tables:
            of_table = [entry for entry in self._queue if entry[1].table == table]
            asked = [entry for entry in of_table if entry[0].id in self._cancelled]
            for entry in (asked or of_table)[:1]:
                entry[1].state = "cancelled"
                self._remove(entry, at_ms)

    def _remove(self, entry: tuple[Progress, TableProgress], at_ms: int) -> None:
        self._queue.remove(entry)
        if entry[0].state in ENDED:
            entry[0].ended_at_ms = at_ms


def backfills(stack: Stack, source: str | None = None) -> list[Progress]:
    """Of every source that takes signals, or of one.

    Raises HeadraceError for an unknown source, and when Kafka does not answer.
    """
    return [each for found in _sources(stack, source) for each in _backfills(stack, found)]


def find_backfill(stack: Stack, backfill: str, source: str | None = None) -> Progress:
    """Raises HeadraceError for one that is not there, or is of several sources and none is named."""
    found = [each for each in backfills(stack, source) if each.id == backfill]
    if not found:
        raise HeadraceError(f"no backfill {backfill}; `headrace backfill list` shows those there are")
    if len(found) > 1:
        names = ", ".join(each.source for each in found)
        raise HeadraceError(
            f"backfill {backfill} is one of each of the sources {names}; name one by --source"
        )
    return found[0]


def pause_backfill(stack: Stack, found: Progress, wait_s: float) -> Progress:
    """Returns how far it is then. Raises HeadraceError when it does not run, or nothing is heard in time."""
    _only_from(found, "running", "pause")
    return _tell(stack, found, [pause(found.id)], ("paused", *ENDED), wait_s)


def resume_backfill(stack: Stack, found: Progress, wait_s: float) -> Progress:
    """Likewise; it has to be paused."""
    _only_from(found, "paused", "resume")
    return _tell(stack, found, [resume(found.id)], ("running", *ENDED), wait_s)


def cancel_backfill(stack: Stack, found: Progress, wait_s: float) -> Progress:
    """Likewise; it must not have ended. What it read stays read, and it never runs again."""
    if found.told_at_ms is None:
        raise HeadraceError(
            f"backfill {found.id} was not started: take it out of the declaration. Nothing was said"
        )
    if found.state in ENDED:
        raise HeadraceError(
            f"backfill {found.id} is {found.state}: there is nothing to cancel. Nothing was said"
        )
    tables = [table.table for table in found.tables if table.state in ("running", "waiting")]
    of_source = backfills(stack, found.source)
    for other in of_source:
        shared = {t.table for t in other.tables if t.state in ("running", "waiting")} & set(tables)
        if other.id != found.id and other.told_at_ms is not None and shared:
            raise HeadraceError(
                f"backfill {other.id} reads {', '.join(sorted(shared))} too, and Debezium would stop both:"
                f" cancel {found.id} when {other.id} has ended. Nothing was said"
            )
    said = [stop(found.id, tables)]
    if any(each.state == "paused" for each in of_source):
        # A paused connector does not look at what it is to stop.
        said.append(resume(found.id))
    return _tell(stack, found, said, ENDED, wait_s)


def _only_from(found: Progress, state: State, what: str) -> None:
    if found.state != state:
        raise HeadraceError(f"backfill {found.id} is {found.state}: can't {what} it. Nothing was said")


def _tell(
    stack: Stack, found: Progress, said: Sequence[Signal], until: Sequence[State], wait_s: float
) -> Progress:
    (source,) = _sources(stack, found.source)
    say(_broker(stack), source.signals_topic or "", source.name, said)
    return _wait(stack, found, until, wait_s)


def _wait(stack: Stack, found: Progress, until: Sequence[State], wait_s: float) -> Progress:
    deadline = time.monotonic() + wait_s
    while (now := find_backfill(stack, found.id, found.source)).state not in until:
        if time.monotonic() > deadline:
            raise HeadraceError(
                f"the connector of {found.source} was told and has not answered after {wait_s:.0f} s; it"
                f" hears it when it runs. Backfill {found.id} is {now.state} (`headrace status`)"
            )
        time.sleep(POLL_S)
    return now


def _sources(stack: Stack, name: str | None) -> list[PostgresqlSourcePlan]:
    found = [source for source in stack.plan.sources if name in (None, source.name)]
    if not found:
        known = ", ".join(source.name for source in stack.plan.sources)
        raise HeadraceError(f"no source {name}; stack {stack.name} declares: {known}")
    return found


def _backfills(stack: Stack, source: PostgresqlSourcePlan) -> list[Progress]:
    if source.signals_topic is None or source.notifications_topic is None:
        return []
    broker = _broker(stack)
    # Signals first: what is said between the two reads is then only heard of later.
    said = read_signals(broker, source.signals_topic)
    return progress(source, said, read_topic(broker, source.notifications_topic))


def _broker(stack: Stack) -> Broker:
    return Broker(f"{HOST}:{stack.plan.ports.kafka}")
