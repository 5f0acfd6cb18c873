"""Whatever stands in a record, it is read as one thing: work, nothing to do, or a dead letter."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_agents import Agent, Change, on
from headrace_agents.agent import prepare
from headrace_agents.events import EventReader
from headrace_agents.testing import in_memory_spec
from tests.unit.agents.worlds import LIMITS, TABLE, Decided, Run, Seen, Thing, Tracker, envelope, key, record


class Everything(Agent[Seen, Decided]):
    @on(TABLE)
    async def thing(self, ctx: Run, change: Change[Thing]) -> None:
        """Wants to see each change."""


ROW = {"id": 1, "key": 7}
CREATED = envelope(ROW)


@pytest.fixture
def reader() -> EventReader:
    agent = prepare(Tracker, {})
    return EventReader(in_memory_spec(agent, ("key",), LIMITS), agent)


@pytest.mark.parametrize(
    ("raw_key", "value", "reason"),
    [
        (None, None, "no_value"),
        (key(7), b"null", "no_value"),
        (key(7), b"", "malformed"),
        (key(7), b"{", "malformed"),
        (key(7), b"\xff", "malformed"),
        (key(7), b"[]", "malformed"),
        (key(7), b"5", "malformed"),
        (key(7), b"{}", "malformed"),
        (key(7), json.dumps({"source": {"schema": "public", "table": "things"}}).encode(), "malformed"),
        (key(7), envelope(None), "malformed"),
        (key(7), CREATED.replace(b'{"id": 1, "key": 7}', b"3"), "malformed"),
        (key(7), envelope(ROW, table="others"), "unknown_table"),
        (None, CREATED, "no_key"),
        (b"{", CREATED, "no_key"),
        (b"7", CREATED, "no_key"),
        (b"{}", CREATED, "no_key"),
        (b'{"key": null}', CREATED, "no_key"),
        (key(7), b"x" * 2_000, "too_large"),
    ],
)
def test_what_can_not_be_decided_says_why(
    reader: EventReader, raw_key: bytes | None, value: bytes | None, reason: str
) -> None:
    reading = reader.read(record(0, raw_key, value))

    assert reading.work is None
    assert reading.rejected is not None
    assert reading.rejected.reason == reason


@pytest.mark.parametrize(
    ("raw_key", "value"),
    [
        (key(7), None),
        (b"not json", None),
        (key(7), envelope(ROW, op="d")),
        (key(7), envelope(ROW, op="m")),
        (None, envelope(None, op="t")),
    ],
    ids=["tombstone", "tombstone of another's key", "no handler", "message", "truncate"],
)
def test_what_no_handler_wants_is_nothing_to_do(
    reader: EventReader, raw_key: bytes | None, value: bytes | None
) -> None:
    reading = reader.read(record(0, raw_key, value))

    assert reading.work is None
    assert reading.rejected is None


def test_a_change_reaches_its_handler(reader: EventReader) -> None:
    reading = reader.read(record(0, key(7), CREATED))

    assert reading.business_key == b"[7]"
    assert reading.committed_at_ms == 5
    assert reading.work is not None
    assert reading.work.handler.name == "thing"
    assert reading.work.key == {"key": 7}


def backfilled(op: str = "r", snapshot: object = "incremental") -> bytes:
    read = json.loads(envelope(ROW, op=op))
    read["source"]["snapshot"] = snapshot
    return json.dumps(read).encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (backfilled(), True),
        (backfilled(snapshot="true"), False),
        (backfilled(snapshot="last"), False),
        (backfilled(snapshot="false"), False),
        (backfilled(snapshot=None), False),
        (backfilled("c"), False),
        (envelope(ROW, op="r"), False),
    ],
    ids=["backfill", "first snapshot", "its last row", "live", "null", "live beside a backfill", "unsaid"],
)
def test_an_event_says_whether_a_backfill_read_it(value: bytes, expected: bool) -> None:
    agent = prepare(Everything, {})
    reading = EventReader(in_memory_spec(agent, ("key",), LIMITS), agent).read(record(0, key(7), value))

    assert reading.work is not None
    event = reading.work.event(reading.position, reading.committed_at_ms)
    assert isinstance(event, Change)
    assert event.backfilled is expected


def test_an_agent_that_skips_what_backfills_read_gets_every_other_event() -> None:
    agent = prepare(Everything, {})
    spec = in_memory_spec(agent, ("key",), LIMITS).model_copy(update={"backfilled": "skip"})
    reader = EventReader(spec, agent)

    skipped = reader.read(record(0, key(7), backfilled()))

    assert (skipped.work, skipped.rejected, skipped.business_key) == (None, None, b"[7]")
    for live in (envelope(ROW, op="r"), CREATED, backfilled("u"), backfilled(snapshot="true")):
        assert reader.read(record(0, key(7), live)).work is not None


@given(st.none() | st.binary(), st.none() | st.binary())
def test_no_record_is_too_strange_to_be_read(raw_key: bytes | None, value: bytes | None) -> None:
    agent = prepare(Tracker, {})
    reader = EventReader(in_memory_spec(agent, ("key",), LIMITS), agent)

    assert reader.read(record(0, raw_key, value)).work is None
