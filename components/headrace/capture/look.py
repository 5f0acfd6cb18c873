"""What a check sees: the declared source, its server's catalogue, and a replication connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import psycopg

from headrace.capture.catalogue import Publication, Relation, Slot, publication, relations, rows_of, slot
from headrace.plan.model import PostgresqlSourcePlan

Offset = Mapping[str, Any]
"""Where a connector is, as Debezium has it stored: ``lsn``, ``lsn_proc``, ``lsn_commit`` as numbers."""
Connection = psycopg.Connection[tuple[Any, ...]]
LONG_TRANSACTION = timedelta(minutes=5)


@dataclass(frozen=True)
class Look:
    """One look at one source, through a connection of the role that captures it."""

    source: PostgresqlSourcePlan
    connection: Connection = field(repr=False)
    replication: Callable[[], AbstractContextManager[Connection]] = field(repr=False)
    """Opens a replication connection to the source's database, as the same role."""
    version: int
    """As ``server_version_num``: 170002 for 17.2."""
    disk_free_bytes: int | None = None
    """On the disk that holds the server's WAL; None where nobody knows."""
    long_transaction: timedelta = LONG_TRANSACTION
    """A transaction that has lasted longer is worth a word."""
    offset: Callable[[], Offset | None] | None = field(default=None, repr=False)
    """Asks for what the connector has stored; None where there is nobody to ask. See :class:`Access`."""
    declared: frozenset[str] = frozenset()
    """Names of slots and publications that belong to sources of the declaration."""

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return rows_of(self.connection)(query, parameters)

    def value(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the first row."""
        return self.rows(query, parameters)[0][0]

    def setting(self, name: str) -> str | None:
        """As ``SHOW`` has it; None where the server does not know it."""
        found = self.value("SELECT current_setting(%s, true)", [name])
        return None if found is None else str(found)

    def number(self, name: str) -> int:
        """A setting without its unit, as ``pg_settings`` has it."""
        return int(self.value("SELECT setting FROM pg_settings WHERE name = %s", [name]))

    @property
    def config(self) -> dict[str, str]:
        """What the connector is told."""
        return self.source.connector_config

    @property
    def role(self) -> str:
        return self.connection.info.user

    @cached_property
    def on_amazon(self) -> bool:
        """Whether the server is Amazon's (RDS or Aurora), where ALTER SYSTEM and REPLICATION are not had."""
        return bool(self.rows("SELECT 1 FROM pg_roles WHERE rolname = 'rds_superuser'"))

    @cached_property
    def in_recovery(self) -> bool:
        """Whether the server is a standby."""
        return bool(self.value("SELECT pg_is_in_recovery()"))

    @cached_property
    def relations(self) -> dict[str, Relation]:
        """The declared tables that are there, by name."""
        return relations(self.rows, [table.name for table in self.source.tables])

    @cached_property
    def publication(self) -> Publication | None:
        return publication(self.rows, self.source.publication, self.version)

    @cached_property
    def slot(self) -> Slot | None:
        return slot(self.rows, self.source.slot, self.version)

    @property
    def is_captured(self) -> bool:
        """Whether the source's own role reads its slot at this moment."""
        return self.slot is not None and self.slot.holder == self.role
