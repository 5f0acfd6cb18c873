"""Checks of the slot that is there under the source's name, and of what its creation would wait for."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from headrace.capture.catalogue import Slot
from headrace.capture.finding import Flaw, Mend
from headrace.capture.look import Look
from headrace.capture.statements import slot_drop, statement

GIVES_UP = "the slot is made when it ends, and the connector gives up before that"
"""Debezium's ``create.slot.command.timeout`` is 90 s."""


def otherwise(name: str, slot: Slot, plugin: str, database: str) -> str:
    """What `slot` is where it can't be a source's; empty where it can."""
    if (slot.kind, slot.plugin, slot.database) == ("logical", plugin, database):
        return ""
    return (
        f"slot {name} is {slot.kind}, of plugin {slot.plugin} and database {slot.database};"
        f" wanted: logical, {plugin}, {database}"
    )


def slot_fits(look: Look) -> Iterator[Flaw]:
    """A slot that is there under the source's name is of its plugin and its database"""
    if not (slot := look.slot):
        return
    plugin = look.config.get("plugin.name", "decoderbufs")
    if another := otherwise(look.source.slot, slot, plugin, look.source.database):
        yield Flaw(
            "error",
            another,
            "the connector can't read it, and another of the name can't be made",
            Mend(
                (slot_drop(look.source.slot),),
                advice="somebody else's position is in it: ask whose it is first",
            ),
        )


def slot_is_free(look: Look) -> Iterator[Flaw]:
    """No other role reads it"""
    slot = look.slot
    if slot is None or slot.holder_pid is None or look.is_captured:
        return
    yield Flaw(
        "error",
        f"slot {look.source.slot} is read by role {slot.holder}, process {slot.holder_pid}",
        "the connector can't read it; each of two readers misses what the other confirmed",
        Mend(
            (statement("SELECT pg_terminate_backend({})", sql.Literal(slot.holder_pid)),),
            advice="stop that reader where it runs, or it comes back",
        ),
    )


def slot_keeps_its_wal(look: Look) -> Iterator[Flaw]:
    """It still has the WAL that it needs"""
    if not (slot := look.slot):
        return
    if slot.wal_status == "lost" or slot.invalidation:
        reason = f" ({slot.invalidation})" if slot.invalidation else ""
        yield Flaw(
            "error",
            f"slot {look.source.slot} is lost{reason}",
            "changes since it was read last are in no WAL any more, and no connector can go on from it",
            Mend(
                (slot_drop(look.source.slot),),
                advice="what was changed meanwhile comes only with a new snapshot: `headrace capture"
                " resnapshot` on this machine; else drop the slot, remove the connector's offsets, start it",
            ),
        )
    elif slot.wal_status == "unreserved":
        yield Flaw(
            "warning",
            f"slot {look.source.slot} is past max_slot_wal_keep_size",
            "at the next checkpoint its WAL goes, and the changes in it",
            Mend(advice="start the connector now, or raise max_slot_wal_keep_size until it has caught up"),
        )


def long_transactions(look: Look) -> Iterator[Flaw]:
    """No transaction has lasted for more than 5 minutes, where the slot is still to be made"""
    if look.slot:
        return
    for pid, role, seconds in look.rows(
        "SELECT pid, usename::text, extract(epoch FROM now() - xact_start)::float FROM pg_stat_activity"
        " WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY 3 DESC"
    ):
        if seconds is None:
            yield Flaw(
                "info",
                f"role {role} has a transaction open (process {pid}), and {look.role} may not see since when",
                GIVES_UP,
                Mend((f"GRANT pg_read_all_stats TO {sql.Identifier(look.role).as_string(None)}",), safe=True),
            )
        elif seconds > look.long_transaction.total_seconds():
            yield Flaw(
                "warning",
                f"role {role} has had a transaction open for {seconds:.0f} s (process {pid})",
                GIVES_UP,
                Mend((f"SELECT pg_terminate_backend({pid})",), advice="what it did is rolled back"),
            )


def prepared_transactions(look: Look) -> Iterator[Flaw]:
    """No transaction has been left prepared, where the slot is still to be made"""
    if look.slot:
        return
    for gid, database, seconds in look.rows(
        "SELECT gid, database::text, extract(epoch FROM now() - prepared)::float FROM pg_prepared_xacts"
    ):
        if seconds > look.long_transaction.total_seconds():
            yield Flaw(
                "error",
                f"transaction {gid} of database {database} was prepared {seconds:.0f} s ago",
                GIVES_UP,
                Mend(
                    (statement("ROLLBACK PREPARED {}", sql.Literal(gid)),),
                    advice=f"in database {database}; or COMMIT PREPARED: whoever prepared it knows which",
                ),
            )
