"""How a replication slot stands: what it keeps of the source's log, against what it may."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from headrace.capture import watched
from headrace.capture.look import Connection
from headrace.environment.units import MIB

_ASKED = """
SELECT slot.active, slot.wal_status,
       pg_wal_lsn_diff(now.lsn, slot.confirmed_flush_lsn)::bigint AS lag,
       pg_wal_lsn_diff(now.lsn, slot.restart_lsn)::bigint AS kept,
       (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS cap_mib
FROM pg_replication_slots AS slot,
     LATERAL (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()
                          ELSE pg_current_wal_lsn() END AS lsn) AS now
WHERE slot.slot_name = {}
"""
_UNLIMITED = -1
# In one row, where there is no such slot, too.
_AS_FIGURES = """
SELECT coalesce(bool_or(active), false)::int AS active,
       (count(*) = 0 OR coalesce(bool_or(wal_status = 'lost'), false))::int AS lost,
       coalesce(max(lag), 0) AS lag_bytes, coalesce(max(kept), 0) AS kept_bytes
FROM ({}) AS asked
"""
_CAP = "SELECT cap_mib * {} AS cap_bytes FROM ({}) AS asked WHERE cap_mib <> {}"


@dataclass(frozen=True)
class SlotStanding:
    """Bytes of WAL. https://www.postgresql.org/docs/current/view-pg-replication-slots.html"""

    active: bool
    """A connector reads it."""
    lost: bool
    """The server removed WAL that it needs: nothing goes on from it."""
    lag_bytes: int
    """Written since what its reader has confirmed."""
    kept_bytes: int
    """That the server keeps for it."""
    cap_bytes: int | None
    """``max_slot_wal_keep_size``; None: unlimited, until the disk is full."""


def slot_standing(connection: Connection, slot: str) -> SlotStanding | None:
    """None where there is no such slot."""
    row = connection.execute(_asked(slot)).fetchone()
    if row is None:
        return None
    active, wal_status, lag, kept, cap_mib = row
    return SlotStanding(
        active=bool(active),
        lost=wal_status == "lost",
        lag_bytes=int(lag or 0),
        kept_bytes=int(kept or 0),
        cap_bytes=None if cap_mib == _UNLIMITED else int(cap_mib) * MIB,
    )


def figures(slot: str) -> dict[str, dict[watched.Metric, str]]:
    """The same as queries for who knows SQL alone: of each, which column is which metric's value.

    A cap that is unlimited is no row.
    """
    asked = _asked(slot)
    whole = sql.SQL(_AS_FIGURES).format(asked)
    cap = sql.SQL(_CAP).format(sql.Literal(MIB), asked, sql.Literal(_UNLIMITED))
    return {
        whole.as_string(): {
            watched.SLOT_ACTIVE: "active",
            watched.SLOT_LOST: "lost",
            watched.SLOT_LAG: "lag_bytes",
            watched.SLOT_KEPT: "kept_bytes",
        },
        cap.as_string(): {watched.SLOT_CAP: "cap_bytes"},
    }


def _asked(slot: str) -> sql.Composed:
    return sql.SQL(_ASKED).format(sql.Literal(slot))
