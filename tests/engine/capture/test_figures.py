"""The figures of a slot as a watch that knows SQL alone asks for them, of a real server."""

from __future__ import annotations

from typing import Any

from headrace.capture import watched
from headrace.capture.standing import figures, slot_standing
from headrace.environment.units import MIB
from tests.engine.capture.source import Source


def asked(source: Source) -> dict[watched.Metric, Any]:
    """As the role that captures, each query by itself; one row, or none."""
    found: dict[watched.Metric, Any] = {}
    with source.access.open() as connection:
        for query, columns in figures(source.plan.slot).items():
            cursor = connection.execute(query.encode())
            rows = cursor.fetchall()
            assert cursor.description is not None
            names = [column.name for column in cursor.description]
            for row in rows:
                found |= {metric: row[names.index(column)] for metric, column in columns.items()}
    return found


def test_a_slot_that_is_not_there_is_lost_and_one_that_is_stands_as_the_local_watch_says(
    source: Source,
) -> None:
    gone = asked(source)
    assert gone == {
        watched.SLOT_ACTIVE: 0,
        watched.SLOT_LOST: 1,
        watched.SLOT_LAG: 0,
        watched.SLOT_KEPT: 0,
    }

    source.make_slot()
    source.run("INSERT INTO orders SELECT n, n, repeat('x', 100) FROM generate_series(1, 1000) n")
    there = asked(source)
    with source.access.open() as connection:
        standing = slot_standing(connection, source.plan.slot)
    assert standing is not None
    assert (there[watched.SLOT_ACTIVE], there[watched.SLOT_LOST]) == (0, 0)
    assert there[watched.SLOT_LAG] > 100_000
    assert there[watched.SLOT_KEPT] >= there[watched.SLOT_LAG]
    assert there[watched.SLOT_CAP] == standing.cap_bytes == 1024 * MIB
    with source.streaming(source.role):
        assert asked(source)[watched.SLOT_ACTIVE] == 1


def test_a_cap_that_is_unlimited_is_not_said(source: Source) -> None:
    source.make_slot()
    source.run("ALTER SYSTEM SET max_slot_wal_keep_size = -1", "SELECT pg_reload_conf()")
    assert watched.SLOT_CAP not in asked(source)
