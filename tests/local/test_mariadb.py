"""The generated connector of MariaDB captures from a real server: first the rows, then changes, over a kill.

The server is Debian's, the connector the pinned one, with the configuration of the plan but for the address
and TLS. There is no MySQL server to be had here: its connector is validated, and not run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Json

from headrace.plan import plan
from headrace.toolchain import mariadb_for_tests
from headrace.waiting import wait_until
from headrace_agents import Agent, Change, on
from headrace_agents.agent import prepare
from headrace_agents.events import EventReader
from headrace_agents.records import InputRecord, Position
from headrace_agents.testing import in_memory_spec
from tests.pipeline.mariadb import PASSWORD, RIGHTS, Captured, MariaDb, captured, mariadb
from tests.pipeline.sizes import in_test_local_at_full_size
from tests.unit.agents.worlds import LIMITS, Decided, Run, Seen
from tests.unit.environment.binlog import of_engine
from tests.unit.environment.declarations import parsed, shipped

TIMEOUT_S = 90
PORT_BASE = 31_700
"""Below the ports that clients get by themselves."""
KINDS = "shop.kinds"
TICKETS = "shop.tickets"
VALUES: dict[str, tuple[str, str, object]] = {
    "tiny": ("tinyint(1)", "1", 1),
    "big": ("bigint unsigned", "9223372036854775807", 9223372036854775807),
    "price": ("decimal(12,2)", "12.50", "12.50"),
    "ratio": ("double", "1.25", 1.25),
    "name": ("varchar(40)", "'Zoë 😀'", "Zoë 😀"),
    "raw": ("varbinary(8)", "x'000102'", "AAEC"),
    "day": ("date", "'2026-03-04'", "2026-03-04Z"),
    "moment": ("datetime(6)", "'2026-03-04 05:06:07.000009'", "2026-03-04T05:06:07.000009Z"),
    "stamped": ("timestamp(6)", "'2026-03-04 05:06:07.000009'", "2026-03-04T05:06:07.000009Z"),
    "hour": ("time(6)", "'05:06:07.000009'", "05:06:07.000009Z"),
    "kind": ("enum('calm','busy')", "'busy'", "busy"),
    "body": ("json", "'{\"a\": 1}'", '{"a": 1}'),
}
"""Column -> its type, what is written as SQL, and what the record has."""


def declaration() -> dict[str, Any]:
    made = of_engine("mariadb")
    made["sources"][0]["tables"].append({"name": KINDS, "primary_key": ["id"]})
    return made


@pytest.fixture
def database(tmp_path: Path) -> Iterator[MariaDb]:
    if not mariadb_for_tests.ready():
        pytest.skip("not proved: that the connector of MariaDB captures; `make setup-tests` found no MariaDB")
    with mariadb(tmp_path / "mariadb") as server:
        columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in VALUES.items())
        server.run(
            "SET time_zone = '+00:00'; CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;"
            "CREATE TABLE customers (id bigint PRIMARY KEY, name text, plan text);"
            "CREATE TABLE tickets (id bigint PRIMARY KEY, customer_id bigint NOT NULL, subject text);"
            "CREATE TABLE orders (order_id bigint PRIMARY KEY);"
            "CREATE TABLE payments (id bigint PRIMARY KEY, order_id bigint NOT NULL);"
            f"CREATE TABLE kinds (id bigint PRIMARY KEY, {columns});"
            "CREATE TABLE not_declared (id bigint PRIMARY KEY);"
            "INSERT INTO not_declared VALUES (1);"
            "INSERT INTO tickets VALUES (1, 7, 'first'), (2, 7, 'second'), (3, 8, 'third');"
            f"CREATE USER headrace_local_support@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';"
            f"GRANT {RIGHTS} ON *.* TO headrace_local_support@'127.0.0.1';"
        )
        yield server


@pytest.fixture
def source(database: MariaDb, tmp_path: Path) -> Iterator[Captured]:
    settings = shipped()
    settings["substrate"]["port_base"] = PORT_BASE
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "support.properties").write_text(f"password={PASSWORD}\n")
    with captured(
        parsed(declaration()), plan(parsed(settings)), database, secrets, tmp_path / "capture"
    ) as made:
        yield made
    shutil.rmtree(tmp_path / "capture" / "kafka", ignore_errors=True)


def told(envelopes: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Operation and row of each, in the order of rows, and of a row's in the order of the topic."""
    found = [(each["op"], (each["after"] or each["before"])["id"]) for each in envelopes]
    return sorted(found, key=lambda change: change[1])


class Kind(BaseModel):
    id: int
    tiny: bool
    big: int
    price: Decimal
    ratio: float
    name: str
    raw: str
    day: date
    moment: datetime
    stamped: datetime
    hour: time
    kind: Literal["calm", "busy"]
    body: Json[dict[str, int]]


class Kinds(Agent[Seen, Decided]):
    @on(KINDS)
    async def kinds(self, ctx: Run, change: Change[Kind]) -> None:
        """Reads each."""


@in_test_local_at_full_size("that the generated connector of MariaDB captures from a real server")
@pytest.mark.timeout(480)
def test_rows_come_first_then_changes_and_a_kill_loses_and_repeats_none(
    source: Captured, database: MariaDb, tmp_path: Path
) -> None:
    password = tmp_path / "secrets" / "support.properties"
    first = [("r", 1), ("r", 2), ("r", 3)]
    with source.connect() as worker:
        source.declare(password)
        wait_until("the connector", source.runs, TIMEOUT_S)
        wait_until("3 rows", lambda: len(source.changes(TICKETS)) >= len(first), TIMEOUT_S)
        assert told(source.changes(TICKETS)) == first

        # Live: a row that is new, one that changes, one that goes, and one whose key of the record changes.
        database.run(
            "INSERT INTO shop.tickets VALUES (4, 9, 'fourth');"
            "UPDATE shop.tickets SET subject = 'changed' WHERE id = 1;"
            "DELETE FROM shop.tickets WHERE id = 2;"
            "UPDATE shop.tickets SET customer_id = 9 WHERE id = 3;"
            "INSERT INTO shop.not_declared VALUES (2);"
        )
        live = [("r", 1), ("u", 1), ("r", 2), ("d", 2), ("r", 3), ("c", 3), ("d", 3), ("c", 4)]
        wait_until("8 changes", lambda: len(source.changes(TICKETS)) >= len(live), TIMEOUT_S)
        assert sorted(told(source.changes(TICKETS))) == sorted(live)

        worker.kill()
        worker.wait()
    # While it is away: a table changes, and rows of one transaction and of one statement.
    database.run(
        "ALTER TABLE shop.tickets ADD COLUMN priority int;"
        "START TRANSACTION;"
        "INSERT INTO shop.tickets VALUES (5, 7, 'fifth', 1), (6, 7, 'sixth', 2), (7, 8, 'seventh', 3);"
        "UPDATE shop.tickets SET customer_id = customer_id + 100 WHERE id >= 5;"
        "COMMIT;"
    )
    after = [(op, row) for row in (5, 6, 7) for op in ("c", "d", "c")]
    with source.connect():
        wait_until("the connector again", source.runs, TIMEOUT_S)
        wait_until("17 changes", lambda: len(source.changes(TICKETS)) >= len(live + after), TIMEOUT_S)
        database.run("INSERT INTO shop.tickets VALUES (8, 1, 'last', 9)")
        last = [("c", 8)]
        wait_until("18 changes", lambda: len(source.changes(TICKETS)) >= len(live + after + last), TIMEOUT_S)

        # Values are written as PostgreSQL's connector writes them.
        written = ", ".join(value for _, value, _ in VALUES.values())
        database.run(f"SET time_zone = '+00:00'; INSERT INTO shop.kinds VALUES (1, {written})")
        (kinds,) = wait_until("a row of each type", lambda: source.changes(KINDS), TIMEOUT_S)
        assert {name: kinds["after"][name] for name in VALUES} == {
            name: value for name, (_, _, value) in VALUES.items()
        }
    changes = source.changes(TICKETS)
    assert sorted(told(changes)) == sorted(live + after + last)
    assert [each["after"]["priority"] for each in changes if (each["after"] or {}).get("id") == 8] == [9]
    assert all(each["source"]["gtid"] for each in changes if each["op"] != "r")

    # Each record has the declared key, and an agent reads it.
    topic = next(each.topic for each in source.source.tables if each.name == TICKETS)
    assert {tuple(json.loads(key)) for key, _ in source.records(topic)} == {("customer_id",)}
    agent = prepare(Kinds, {})
    reader = EventReader(in_memory_spec(agent, ("id",), LIMITS), agent)
    ((key, value),) = source.records(f"support.{KINDS}")
    reading = reader.read(InputRecord(Position(KINDS, 0, 0), 1, key, value))
    assert reading.rejected is None
    assert reading.work is not None
    event = reading.work.event(reading.position, reading.committed_at_ms)
    assert isinstance(event, Change)
    assert (event.table, event.operation, reading.business_key) == (KINDS, "create", b"[1]")
    moment = datetime(2026, 3, 4, 5, 6, 7, 9, tzinfo=UTC)
    assert event.row == Kind.model_construct(
        id=1,
        tiny=True,
        big=9223372036854775807,
        price=Decimal("12.50"),
        ratio=1.25,
        name="Zoë 😀",
        raw="AAEC",
        day=moment.date(),
        moment=moment,
        stamped=moment,
        hour=moment.timetz(),
        kind="busy",
        body={"a": 1},
    )
