"""Events of MySQL and MariaDB are read as those of PostgreSQL are.

Envelopes have the fields that Debezium's reference documents for these connectors: ``source`` has a database
in the place of a schema, and file, position, row and GTID in the place of LSN and transaction.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace_agents import Agent, Change, on
from headrace_agents.agent import prepare
from headrace_agents.events import EventReader
from headrace_agents.records import InputRecord, Position
from headrace_agents.testing import in_memory_spec
from tests.unit.agents.worlds import LIMITS, Decided, Run, Seen, Thing, key

TABLE = "shop.things"
ROW = {"id": 1, "key": 7}
OF_BOTH: dict[str, Any] = {
    "name": "support",
    "ts_ms": 1465581902000,
    "ts_us": 1465581902000000,
    "ts_ns": 1465581902000000000,
    "snapshot": "false",
    "db": "shop",
    "sequence": None,
    "table": "things",
    "server_id": 223344,
    "pos": 484,
    "row": 0,
    "thread": 7,
    "query": None,
}
SOURCES: dict[str, dict[str, Any]] = {
    "mysql": OF_BOTH
    | {
        "version": "3.6.1.Final",
        "connector": "mysql",
        "gtid": "24bc7850-2c16-11e6-a073-0242ac110002:101",
        "file": "mysql-bin.000003",
    },
    "mariadb": OF_BOTH
    | {
        "version": "3.5.0.Final",
        "connector": "mariadb",
        "gtid": "0-1-101",
        "file": "mariadb-bin.000003",
    },
}
every_source = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)


class Everything(Agent[Seen, Decided]):
    @on(TABLE)
    async def thing(self, ctx: Run, change: Change[Thing]) -> None:
        """Wants to see each change."""


@pytest.fixture
def reader() -> EventReader:
    agent = prepare(Everything, {})
    return EventReader(in_memory_spec(agent, ("key",), LIMITS), agent)


def record(
    source: dict[str, Any], op: str, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> InputRecord:
    envelope = {
        "before": before,
        "after": after,
        "source": source,
        "transaction": None,
        "op": op,
        "ts_ms": 1465581902461,
        "ts_us": 1465581902461000,
        "ts_ns": 1465581902461000000,
    }
    return InputRecord(Position(TABLE, 0, 0), 1, key(7), json.dumps(envelope).encode())


@every_source
@pytest.mark.parametrize(
    ("op", "before", "after", "operation"),
    [
        ("c", None, ROW, "create"),
        ("u", ROW, ROW | {"do": "x"}, "update"),
        ("d", ROW, None, "delete"),
        ("r", None, ROW, "read"),
    ],
)
def test_a_change_reaches_its_handler(
    reader: EventReader,
    source: dict[str, Any],
    op: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    operation: str,
) -> None:
    reading = reader.read(record(source, op, before, after))

    assert reading.rejected is None
    assert reading.work is not None
    assert (reading.business_key, reading.committed_at_ms) == (b"[7]", 1465581902000)
    event = reading.work.event(reading.position, reading.committed_at_ms)
    assert isinstance(event, Change)
    assert (event.table, event.operation) == (TABLE, operation)
    assert (event.row.id, event.row.key) == (1, 7)


@every_source
@pytest.mark.parametrize("other", [{"db": "other"}, {"table": "others"}], ids=["database", "table"])
def test_a_change_of_another_table_is_no_event_of_the_topic(
    reader: EventReader, source: dict[str, Any], other: dict[str, str]
) -> None:
    reading = reader.read(record(source | other, "c", None, ROW))

    assert reading.work is None
    assert reading.rejected is not None
    assert reading.rejected.reason == "unknown_table"


def test_a_schema_goes_before_the_database_that_is_named_beside_it(reader: EventReader) -> None:
    """PostgreSQL's envelopes have both."""
    reading = reader.read(record(SOURCES["mysql"] | {"schema": "public"}, "c", None, ROW))

    assert reading.rejected is not None
    assert reading.rejected.reason == "unknown_table"
