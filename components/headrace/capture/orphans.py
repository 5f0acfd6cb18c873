"""The check for slots and publications that no declared source has: somebody has to decide about them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from headrace.capture.catalogue import Rows
from headrace.capture.finding import Flaw, Mend
from headrace.capture.look import Look
from headrace.capture.statements import name, slot_drop, statement
from headrace.environment.names import SLOT_PREFIX
from headrace.environment.units import MIB

WHOSE = "another stack may have it: look first whose it is"


def no_orphans(look: Look) -> Iterator[Flaw]:
    """No slot that nobody reads keeps WAL, and none is left of a source that is not declared"""
    yield from orphans(look.rows, look.declared)


def orphans(rows: Rows, declared: Collection[str]) -> Iterator[Flaw]:
    """Slots of the whole server, and publications of the database, that belong to none of `declared`."""
    slots = rows(
        """
        SELECT slot_name::text, active,
            pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()
                ELSE pg_current_wal_lsn() END, restart_lsn)::bigint
        FROM pg_replication_slots WHERE NOT temporary ORDER BY 1
        """
    )
    for slot, active, kept in slots:
        if not active and slot not in declared and (kept is not None or slot.startswith(SLOT_PREFIX)):
            yield Flaw(
                "warning",
                f"slot {slot} belongs to no declared source, and nobody reads it",
                f"the server keeps {(kept or 0) / MIB:.1f} MiB of WAL for it, and more with each change",
                Mend(
                    (slot_drop(slot),),
                    advice=f"{WHOSE}; its reader loses what it has not read",
                ),
            )
    read = {slot for slot, active, _ in slots if active}
    for (publication,) in rows(
        "SELECT pubname::text FROM pg_publication WHERE starts_with(pubname, %s) ORDER BY 1", [SLOT_PREFIX]
    ):
        if publication not in {*declared, *read}:
            yield Flaw(
                "warning",
                f"publication {publication} belongs to no declared source",
                "it costs little; whoever reads by it goes on",
                Mend((statement("DROP PUBLICATION {}", name(publication)),), advice=WHOSE),
            )
