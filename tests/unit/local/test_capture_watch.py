"""What the watch gives out of a source, and what it says when something does not answer."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client import CollectorRegistry

from headrace.capture.standing import SlotStanding
from headrace.capture.watched import METRICS
from headrace.local import source_access
from headrace.local.capture_watch import watch as capture_watch
from headrace.local.capture_watch.orders import WatchedSource, WatchOrders
from headrace.local.capture_watch.watch import CaptureWatch

SOURCE = WatchedSource(
    source="books",
    connector="dev-books",
    slot="headrace_dev_books",
    database="books",
    role="headrace_dev_books",
    password_file="/secrets/books.properties",
    heartbeats="__debezium-heartbeat.books",
)
ORDERS = WatchOrders(
    connect_endpoint="http://127.0.0.1:1",
    bootstrap_servers="127.0.0.1:2",
    postgres_port=3,
    metrics_port=4,
    sources=(SOURCE,),
)
NOW = 1_000.0


class World:
    """Connect, the database and the heartbeats, as a test has them."""

    def __init__(self) -> None:
        self.connector, self.task = "RUNNING", "RUNNING"
        self.connect_answers = True
        self.slot: SlotStanding | None = SlotStanding(True, False, 10, 300, 1_000)
        self.database_error: Exception | None = None
        self.newest_ms: int | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if not self.connect_answers:
            raise httpx.ConnectError("refused")
        if request.method == "POST":
            return httpx.Response(202)
        status = {"connector": {"state": self.connector}, "tasks": [{"state": self.task}]}
        return httpx.Response(200, content=json.dumps({"dev-books": {"status": status}}))


class Beats:
    def __init__(self, world: World) -> None:
        self._world = world
        self.newest_ms: int | None = None

    def look(self) -> None:
        self.newest_ms = self._world.newest_ms


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    class Connected:
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    def connect(**_: Any) -> Connected:
        if made.database_error is not None:
            raise made.database_error
        return Connected()

    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setattr(source_access, "read_property", lambda *_: "secret")
    monkeypatch.setattr(capture_watch, "slot_standing", lambda *_: made.slot)
    monkeypatch.setattr(capture_watch, "Heartbeats", lambda *_: Beats(made))
    monkeypatch.setattr(time, "time", lambda: NOW)
    real = httpx.Client
    transport = httpx.MockTransport(made)
    monkeypatch.setattr(httpx, "Client", lambda **given: real(**given, transport=transport))
    return made


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def told(registry: CollectorRegistry) -> dict[str, float | None]:
    found = {m.name: registry.get_sample_value(m.name, {"source": "books"}) for m in METRICS}
    return {name.removeprefix("headrace_capture_"): value for name, value in found.items()}


def test_a_source_that_is_captured_is_told_of(world: World, registry: CollectorRegistry) -> None:
    world.newest_ms = 997_000
    assert list(CaptureWatch(ORDERS, registry).look(0)) == []
    assert told(registry) == {
        "connector_running": 1,
        "task_restarts": 0,
        "slot_active": 1,
        "slot_lost": 0,
        "slot_lag_bytes": 10,
        "slot_wal_kept_bytes": 300,
        "slot_wal_cap_bytes": 1_000,
        "heartbeat_age_seconds": 3,
    }


def test_a_failed_task_is_restarted_counted_and_said(world: World, registry: CollectorRegistry) -> None:
    world.task = "FAILED"
    watch = CaptureWatch(ORDERS, registry)
    assert list(watch.look(0)) == ["restarted failed tasks of connector dev-books"]
    found = told(registry)
    assert (found["connector_running"], found["task_restarts"]) == (0, 1)


@pytest.mark.parametrize("slot", [None, SlotStanding(False, True, 5, 0, 1_000)])
def test_a_slot_that_is_gone_or_without_its_wal_is_lost(
    world: World, registry: CollectorRegistry, slot: SlotStanding | None
) -> None:
    world.slot = slot
    list(CaptureWatch(ORDERS, registry).look(0))
    assert told(registry)["slot_lost"] == 1


def test_without_a_cap_none_is_told(world: World, registry: CollectorRegistry) -> None:
    world.slot = SlotStanding(True, False, 10, 300, None)
    list(CaptureWatch(ORDERS, registry).look(0))
    assert told(registry)["slot_wal_cap_bytes"] is None


def test_what_does_not_answer_is_said_once_and_the_rest_is_looked_at(
    world: World, registry: CollectorRegistry
) -> None:
    watch = CaptureWatch(ORDERS, registry)
    list(watch.look(0))
    world.connect_answers = False
    world.database_error = psycopg.OperationalError("the database system is starting up")
    world.newest_ms = 999_000
    assert list(watch.look(2)) == [
        "Kafka Connect: refused",
        "database books: the database system is starting up",
    ]
    assert list(watch.look(4)) == []
    found = told(registry)
    assert (found["connector_running"], found["heartbeat_age_seconds"]) == (0, 1)
    world.connect_answers, world.database_error = True, None
    assert list(watch.look(6)) == []
    assert told(registry)["connector_running"] == 1
