"""How far backfills are, from signals and notifications alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.local.signals import SaidSignal, Signal, pause, start, stop
from headrace.local.topics import KeptRecord
from headrace.operations import backfills
from headrace.operations.backfills import Progress, cancel_backfill, pause_backfill, progress, resume_backfill
from headrace.operations.stack import Stack
from headrace.plan.connectors import CHUNK_ROWS
from headrace.plan.model import BackfillPlan, PostgresqlSourcePlan
from headrace_agents.records import Position

ORDERS, PAYMENTS = "public.orders", "public.payments"


@pytest.fixture
def source(stack: Stack) -> PostgresqlSourcePlan:
    declared = BackfillPlan(id="declared", tables=(ORDERS,), where={})
    return stack.plan.sources[0].model_copy(update={"backfills": (declared,)})


class Told:
    """Notifications as Debezium 3.7 writes them, a second apart."""

    def __init__(self) -> None:
        self.records: list[KeptRecord] = []

    def say(self, kind: str, **said: object) -> Told:
        at = len(self.records)
        value = {
            "id": "the last one that was started",
            "aggregate_type": "Incremental Snapshot",
            "type": kind,
            "additional_data": {name: str(value) for name, value in said.items()},
            "timestamp": 1_000 * at,
        }
        position = Position("support.notifications", 0, at)
        self.records.append(KeptRecord(position, 0, b"", json.dumps(value).encode()))
        return self

    def chunk(self, table: str, last_key: int, total: int | None = 10_000) -> Told:
        known = {} if total is None else {"total_rows": total}
        return self.say(
            "IN_PROGRESS", current_collection_in_progress=table, last_processed_key=last_key, **known
        )

    def end(self, table: str, rows: int, status: str = "SUCCEEDED") -> Told:
        return self.say(
            "TABLE_SCAN_COMPLETED", scanned_collection=table, total_rows_scanned=rows, status=status
        )


def said(*given: Signal) -> list[SaidSignal]:
    return [SaidSignal(each, at) for at, each in enumerate(given)]


FIRST, SECOND = start("first", [ORDERS, PAYMENTS], {}), start("second", [PAYMENTS], {})


def told(source: PostgresqlSourcePlan, notifications: Told, *given: Signal) -> dict[str, Progress]:
    return {each.id: each for each in progress(source, said(*given), notifications.records)}


def test_one_that_is_declared_alone_waits_for_up(source: PostgresqlSourcePlan) -> None:
    found = told(source, Told())
    assert [(each.id, each.state, each.told_at_ms) for each in found.values()] == [
        ("declared", "waiting", None)
    ]


def test_tables_are_read_one_after_the_other_and_the_next_backfill_waits(
    source: PostgresqlSourcePlan,
) -> None:
    notifications = Told().say("STARTED", data_collections=f"{ORDERS},{PAYMENTS}")
    found = told(source, notifications, FIRST, SECOND)
    assert (found["first"].state, found["second"].state) == ("running", "waiting")

    notifications.chunk(ORDERS, 1_024).chunk(ORDERS, 2_048).chunk(ORDERS, 3_072)
    first = told(source, notifications, FIRST, SECOND)["first"]
    assert (first.chunks, first.rows, first.total_rows) == (3, 3 * CHUNK_ROWS, 10_000)
    assert first.rows_per_second == CHUNK_ROWS
    assert first.seconds_left == pytest.approx((10_000 - 3 * CHUNK_ROWS) / CHUNK_ROWS)

    notifications.end(ORDERS, 2_900).chunk(PAYMENTS, 7, None).end(PAYMENTS, 5)
    found = told(source, notifications, FIRST, SECOND)
    assert (found["first"].state, found["first"].rows, found["first"].ended_at_ms) == ("done", 2_905, 6_000)
    assert [table.state for table in found["first"].tables] == ["done", "done"]
    assert (found["second"].state, found["second"].rows) == ("waiting", 0)

    notifications.chunk(PAYMENTS, 7).end(PAYMENTS, 6)
    assert told(source, notifications, FIRST, SECOND)["second"].rows == 6


def test_a_chunk_that_is_read_again_after_a_restart_is_counted_once(source: PostgresqlSourcePlan) -> None:
    notifications = Told().chunk(PAYMENTS, 1_024).chunk(PAYMENTS, 2_048).chunk(PAYMENTS, 2_048)
    second = told(source, notifications, SECOND)["second"]
    assert (second.state, second.chunks, second.rows) == ("running", 2, 2 * CHUNK_ROWS)
    # The connector counts rows since it was started.
    after = told(source, notifications.end(PAYMENTS, 10), SECOND)["second"]
    assert (after.state, after.rows) == ("done", 2 * CHUNK_ROWS)


def test_a_pause_holds_over_a_restart_until_it_is_ended(source: PostgresqlSourcePlan) -> None:
    notifications = Told().chunk(PAYMENTS, 1_024).say("PAUSED", data_collections=PAYMENTS)
    assert told(source, notifications, SECOND)["second"].state == "paused"
    for last_key in (2_048, 2_048):  # a connector that starts reads one
        notifications.chunk(PAYMENTS, last_key)
        assert told(source, notifications, SECOND)["second"].state == "paused"
    notifications.say("RESUMED", data_collections=PAYMENTS)
    assert told(source, notifications, SECOND)["second"].state == "running"


def test_a_cancelled_one_is_told_apart_from_one_that_reads_the_same_table(
    source: PostgresqlSourcePlan,
) -> None:
    notifications = Told().chunk(ORDERS, 1_024).say("ABORTED", data_collections=PAYMENTS)
    found = told(source, notifications, FIRST, SECOND, stop("second", [PAYMENTS]))
    assert (found["first"].state, found["second"].state) == ("running", "cancelled")


@pytest.mark.parametrize("status", ["SQL_EXCEPTION", "NO_PRIMARY_KEY", "UNKNOWN_SCHEMA", "SKIPPED"])
def test_what_could_not_be_read_has_failed_with_its_reason(source: PostgresqlSourcePlan, status: str) -> None:
    second = told(source, Told().end(PAYMENTS, 0, status), SECOND)["second"]
    assert (second.state, second.tables[0].reason) == ("failed", status)


def test_an_empty_table_is_done(source: PostgresqlSourcePlan) -> None:
    second = told(source, Told().end(PAYMENTS, 0, "EMPTY"), SECOND)["second"]
    assert (second.state, second.rows) == ("done", 0)


def test_other_notifications_say_nothing_of_backfills(source: PostgresqlSourcePlan) -> None:
    notifications = Told().say("STARTED", data_collections=PAYMENTS)
    value = json.loads(notifications.records[0].value or b"") | {"aggregate_type": "Initial Snapshot"}
    notifications.records = [KeptRecord(Position("n", 0, 0), 0, b"", json.dumps(value).encode())]
    assert told(source, notifications, SECOND)["second"].state == "waiting"


def test_json_has_every_figure(source: PostgresqlSourcePlan) -> None:
    found = told(source, Told().chunk(PAYMENTS, 1_024), SECOND)["second"].as_json()
    assert json.loads(json.dumps(found)) == {
        "source": "support",
        "id": "second",
        "state": "running",
        "rows": CHUNK_ROWS,
        "total_rows": 10_000,
        "chunks": 1,
        "rows_per_second": None,
        "seconds_left": None,
        "told_at_ms": 0,
        "started_at_ms": 0,
        "ended_at_ms": None,
        "tables": [
            {
                "table": PAYMENTS,
                "state": "running",
                "chunks": 1,
                "rows": CHUNK_ROWS,
                "total_rows": 10_000,
                "reason": None,
            }
        ],
    }


class Connector:
    """Signals as they were said, and what the connector then says."""

    def __init__(self, before: Told, answer: Told, *given: Signal) -> None:
        self.given, self.notifications, self.answer = list(given), before.records, answer.records
        self.said: list[Signal] = []

    def say(self, _broker: object, _topic: str, _source: str, given: list[Signal]) -> None:
        self.said += given
        self.given += given
        self.notifications = [*self.notifications, *self.answer]
        self.answer = []

    def read_signals(self, _broker: object, _topic: str) -> list[SaidSignal]:
        return said(*self.given)

    def read_topic(self, _broker: object, _topic: str) -> Iterator[KeptRecord]:
        return iter(self.notifications)


def connector(monkeypatch: pytest.MonkeyPatch, *given: Any) -> Connector:
    made = Connector(*given)
    for name in ("say", "read_signals", "read_topic"):
        monkeypatch.setattr(backfills, name, getattr(made, name))
    return made


def one(stack: Stack, name: str) -> Progress:
    return backfills.find_backfill(stack, name)


def test_a_running_one_is_paused_and_goes_on(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    running = Told().chunk(PAYMENTS, 1_024)
    made = connector(monkeypatch, running, Told().say("PAUSED"), SECOND)
    assert pause_backfill(stack, one(stack, "second"), 1).state == "paused"
    with pytest.raises(HeadraceError, match=r"second is paused: can't pause it\. Nothing was said"):
        pause_backfill(stack, one(stack, "second"), 1)
    made.answer = Told().say("RESUMED").records
    assert resume_backfill(stack, one(stack, "second"), 1).state == "running"
    assert [each.type for each in made.said] == ["pause-snapshot", "resume-snapshot"]


def test_a_connector_that_does_not_answer_is_told_of(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    connector(monkeypatch, Told().chunk(PAYMENTS, 1_024), Told(), SECOND)
    with pytest.raises(HeadraceError, match="has not answered after 0 s"):
        pause_backfill(stack, one(stack, "second"), 0)


def test_a_paused_one_goes_on_so_that_it_can_be_stopped(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused = Told().chunk(PAYMENTS, 1_024).say("PAUSED")
    answer = Told().say("RESUMED").say("ABORTED", data_collections=PAYMENTS)
    made = connector(monkeypatch, paused, answer, SECOND)
    assert cancel_backfill(stack, one(stack, "second"), 1).state == "cancelled"
    assert [each.type for each in made.said] == ["stop-snapshot", "resume-snapshot"]
    with pytest.raises(HeadraceError, match="there is nothing to cancel"):
        cancel_backfill(stack, one(stack, "second"), 1)


def test_one_is_not_cancelled_while_another_reads_its_table(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = connector(monkeypatch, Told().chunk(ORDERS, 1_024), Told(), FIRST, SECOND)
    with pytest.raises(HeadraceError, match=rf"first reads {PAYMENTS} too"):
        cancel_backfill(stack, one(stack, "second"), 1)
    assert made.said == []


def test_an_unknown_one_or_source_is_named(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    connector(monkeypatch, Told(), Told())
    with pytest.raises(HeadraceError, match="no backfill nothing"):
        one(stack, "nothing")
    with pytest.raises(HeadraceError, match="no source nowhere; stack local declares: support"):
        backfills.find_backfill(stack, "second", "nowhere")


def test_a_pause_is_no_backfill(source: PostgresqlSourcePlan) -> None:
    assert "second" not in told(source, Told(), pause("second"))
