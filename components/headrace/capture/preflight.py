"""All checks of one source, over one connection of the role that captures it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg

from headrace.capture import columns, orphans, positions, publishing, role, server, slots, standby, tables
from headrace.capture.finding import Finding, Flaw, Mend, Report
from headrace.capture.look import LONG_TRANSACTION, Connection, Look, Offset
from headrace.plan.model import PostgresqlSourcePlan

Check = Callable[[Look], Iterator[Flaw]]
"""Yields what it finds; the first line of its docstring is what holds otherwise."""

CHECKS: tuple[Check, ...] = (
    server.server_version,
    server.wal_level,
    server.free_slots,
    server.free_senders,
    server.bounded_wal,
    server.idle_slots_stay,
    standby.standby_decodes,
    standby.standby_feedback,
    standby.standby_heartbeat,
    role.replication_right,
    role.replication_connection,
    role.heartbeat,
    tables.tables_exist,
    tables.tables_are_logged,
    tables.tables_are_readable,
    tables.rows_are_visible,
    tables.primary_keys,
    columns.columns_exist,
    columns.column_types,
    columns.generated_columns,
    tables.replica_identities,
    publishing.publication_exists,
    publishing.published_tables,
    publishing.published_whole,
    publishing.published_operations,
    publishing.published_by_root,
    slots.slot_fits,
    slots.slot_is_free,
    slots.slot_keeps_its_wal,
    positions.slot_meets_offset,
    slots.long_transactions,
    slots.prepared_transactions,
    orphans.no_orphans,
)
"""In an order in which their statements can be run."""
CONNECTION = "connection"
"""The check that comes before all others: there is a connection."""
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 10_000


@dataclass(frozen=True)
class Access:
    """How the role that captures a source gets to its server."""

    parameters: Mapping[str, Any] = field(repr=False)
    """libpq's, as keywords; what is not among them comes from libpq's environment, services and passfile."""
    disk_free_bytes: int | None = None
    """On the disk that holds the server's WAL; None where nobody knows."""
    long_transaction: timedelta = LONG_TRANSACTION
    offset: Callable[[], Offset | None] | None = field(default=None, repr=False)
    """Asks for what the source's connector has stored, None where that is nothing; raises HeadraceError
    where nobody answers. None where there is nobody to ask."""
    way_in: str = ""
    """What has to be open for a client to get there, as advice where there is no connection."""

    @contextmanager
    def open(self, **more: Any) -> Iterator[Connection]:
        """A connection that commits each statement, and is closed at the end.

        Raises:
            psycopg.OperationalError: the server can't be reached, or refuses the role.
        """
        parameters = {"connect_timeout": CONNECT_TIMEOUT_S, **self.parameters, **more}
        with psycopg.connect(autocommit=True, **parameters) as connection:
            yield connection


def identity(check: Check) -> str:
    """What a check is called: ``wal-level``."""
    return check.__name__.replace("_", "-")


def preflight(source: PostgresqlSourcePlan, access: Access, declared: Collection[str] = ()) -> Report:
    """Look at everything that has to hold before `source` is captured; nothing is changed.

    Args:
        source: what is captured.
        access: how its role gets to the server.
        declared: slots of all declared sources, which are no orphans; `source`'s own is one of them.
    """
    try:
        with access.open(options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS}") as connection:
            look = Look(
                source=source,
                connection=connection,
                # Its commands know no parameters: what psycopg sends without them is the simple protocol.
                replication=lambda: access.open(replication="database"),
                version=connection.info.server_version,
                disk_free_bytes=access.disk_free_bytes,
                long_transaction=access.long_transaction,
                offset=access.offset,
                declared=frozenset({*declared, source.slot, source.publication}),
            )
            return report(look)
    except psycopg.Error as error:
        return Report(source.name, "", (), (Finding.of(CONNECTION, _no_connection(error, access.way_in)),))


def report(look: Look) -> Report:
    """Run every check on one look; of a server that is too old, its version alone."""
    checks = CHECKS if look.version >= server.OLDEST else (server.server_version,)
    found = {identity(check): tuple(_flaws(check, look)) for check in checks}
    return Report(
        source=look.source.name,
        server=str(look.setting("server_version")),
        passed=(CONNECTION, *(name for name, flaws in found.items() if not flaws)),
        findings=tuple(Finding.of(name, flaw) for name, flaws in found.items() for flaw in flaws),
    )


def _flaws(check: Check, look: Look) -> Iterator[Flaw]:
    """What can't be looked at is said, and keeps no other check from being done."""
    try:
        yield from check(look)
    except psycopg.Error as error:
        if look.connection.broken:
            raise
        yield Flaw(
            "warning",
            f"could not be looked at: {str(error).strip()}",
            "what it would have found is not known",
        )


def _no_connection(error: psycopg.Error, way_in: str) -> Flaw:
    return Flaw(
        "error",
        f"there is no connection: {str(error).strip()}",
        "nothing else could be looked at, and no connector can work",
        Mend(
            advice="the server has to run and to be reached from here, and pg_hba.conf and the password have"
            " to let the role into the database" + (f"; {way_in}" if way_in else "")
        ),
    )
