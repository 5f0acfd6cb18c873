"""A connector that is stopped: the alert that tells in time, and the way back when it was too late."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from headrace.capture.standing import SlotStanding, slot_standing
from headrace.local.supervision import Supervisor
from tests.chaos.capture.rows import ROWS, captured, insert
from tests.pipeline.plugin import Pipeline
from tests.pipeline.prometheus import PROGRAM, prometheus
from tests.pipeline.sizes import in_make_chaos_alone
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

CAP_MIB = 256
QUIET_MIB = 20
"""What a slot keeps that has nothing to read: heartbeats confirm, and segments are whole."""
FIRES_TIMEOUT_S, BACK_TIMEOUT_S = 150, 120
FIRST_ID = 7_000_000_000


@pytest.fixture
def capped(pipeline: Pipeline) -> Iterator[None]:
    """As much WAL as a test can write in a moment."""
    with pipeline.stack.database() as database:
        database.execute(sql.SQL("ALTER SYSTEM SET max_slot_wal_keep_size = {}").format(f"{CAP_MIB}MB"))
        database.execute("SELECT pg_reload_conf()")
    yield
    with pipeline.stack.database() as database:
        database.execute("ALTER SYSTEM RESET max_slot_wal_keep_size")
        database.execute("SELECT pg_reload_conf()")


def kept(stack: LiveStack) -> SlotStanding:
    with stack.database() as database:
        found = slot_standing(database, stack.plan.sources[0].slot)
    assert found is not None
    return found


def is_quiet(stack: LiveStack) -> bool:
    """A checkpoint writes down which transactions run, from where a slot may go on."""
    with stack.database() as database:
        database.execute("CHECKPOINT")
    return kept(stack).kept_bytes < QUIET_MIB * 1024 * 1024


def write_wal(stack: LiveStack, mib: int) -> None:
    """Nobody captures it: the server's log grows, and no topic does. Then old segments may go."""
    with stack.database() as database:
        for _ in range(mib):
            database.execute("SELECT pg_logical_emit_message(false, 'headrace', repeat('x', 1024 * 1024))")
        database.execute("SELECT pg_switch_wal()")
        database.execute("CHECKPOINT")


@in_make_chaos_alone("the alert on a connector that is stopped, and a slot that is lost")
@pytest.mark.skipif(PROGRAM is None, reason="not proved: alerts of capturing; no Prometheus is here")
@pytest.mark.usefixtures("capped")
def test_a_stopped_connector_is_told_of_in_time_and_a_lost_slot_has_a_way_back(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    stack = pipeline.stack
    supervisor = Supervisor(stack.files)
    with prometheus(stack, tmp_path) as watching:
        # Within the cap: told of, and nothing is lost.
        until("nothing to read", lambda: is_quiet(stack), BACK_TIMEOUT_S)
        supervisor.stop("connect")
        with stack.database() as database:
            insert(database, FIRST_ID, "waited-")
        write_wal(stack, CAP_MIB // 8)
        until("CaptureStopped", lambda: "CaptureStopped" in watching.firing(), FIRES_TIMEOUT_S)
        assert "SlotKeepsWal" not in watching.firing()
        cap = CAP_MIB * 1024 * 1024
        assert kept(stack).kept_bytes < cap / 2
        write_wal(stack, CAP_MIB * 3 // 8)
        until("SlotKeepsWal", lambda: "SlotKeepsWal" in watching.firing(), FIRES_TIMEOUT_S)
        assert cap / 2 < kept(stack).kept_bytes < cap * 0.8
        assert not watching.firing() & {"SlotNearItsCap", "SlotLost"}
        supervisor.ensure_started("connect")
        until("captured again", stack.is_capturing, BACK_TIMEOUT_S)
        expected = {FIRST_ID + n: ("c", f"waited-{FIRST_ID + n}") for n in range(ROWS)}
        until("nothing lost", lambda: captured(stack, FIRST_ID) == expected, BACK_TIMEOUT_S)

        # Beyond it: said, and the tables are read anew.
        supervisor.stop("connect")
        with stack.database() as database:
            insert(database, FIRST_ID + ROWS, "lost-")
        write_wal(stack, 2 * CAP_MIB)
        until("SlotLost", lambda: "SlotLost" in watching.firing(), FIRES_TIMEOUT_S)
    supervisor.ensure_started("connect")
    until(
        "Connect answers", lambda: "unreachable" not in stack.run("capture", "status").output, BACK_TIMEOUT_S
    )
    said = stack.run("capture", "status")
    assert said.code == 1
    assert "headrace capture resnapshot" in " ".join(said.output.split())
    stack.succeed("capture", "resnapshot", "books", "--yes")
    read = {FIRST_ID + ROWS + n: ("r", f"lost-{FIRST_ID + ROWS + n}") for n in range(ROWS)}
    until("all rows are read", lambda: captured(stack, FIRST_ID + ROWS) == read, BACK_TIMEOUT_S)
    assert stack.json("capture", "status")[0]["slot_state"] == "active"
    with stack.database() as database:
        insert(database, FIRST_ID + 2 * ROWS, "after-")
    after = {FIRST_ID + 2 * ROWS + n: ("c", f"after-{FIRST_ID + 2 * ROWS + n}") for n in range(ROWS)}
    until("changes go on", lambda: captured(stack, FIRST_ID + 2 * ROWS) == after, BACK_TIMEOUT_S)
