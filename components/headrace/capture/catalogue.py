"""What PostgreSQL's catalogue says of tables, a publication and a slot, as checks need it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

Rows = Callable[..., list[tuple[Any, ...]]]
"""Runs a query with its parameters."""

INDEX_COLUMNS = """ARRAY(
    SELECT a.attname::text FROM pg_index i
    JOIN pg_attribute a
        ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
    WHERE i.indrelid = c.oid AND i.{which} ORDER BY a.attnum
)"""
PRIMARY, IDENTITY = (INDEX_COLUMNS.format(which=which) for which in ("indisprimary", "indisreplident"))


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    """As PostgreSQL writes it."""
    base: str
    """Name of the type beneath it: of a domain the type it stands for, of an array its element's."""
    base_kind: str
    """``pg_type.typtype`` of that: b base, c composite, d domain, e enum, m multirange, r range."""
    is_array: bool
    generated: str
    """Empty, ``s`` stored, ``v`` virtual."""


@dataclass(frozen=True)
class Identity:
    """What the server logs of a row's old values."""

    table: str
    kind: str
    """``pg_class.relreplident``: d default, f full, i index, n nothing."""
    primary_key: tuple[str, ...]
    index: tuple[str, ...]

    def logs(self, columns: tuple[str, ...]) -> bool:
        """Whether an update and a delete have the old values of these columns."""
        logged = {"d": self.primary_key, "i": self.index}.get(self.kind, ())
        return self.kind == "f" or (bool(logged) and set(columns) <= set(logged))


@dataclass(frozen=True)
class Relation:
    name: str
    """``schema.table``"""
    kind: str
    """``pg_class.relkind``: r table, p partitioned table, v view, m materialized view, f foreign table."""
    persistence: str
    """p permanent, u unlogged, t temporary."""
    owned: bool
    """By the looking role, or by one that it is in."""
    usable_schema: bool
    readable: bool
    hidden_rows: bool
    """Whether row security keeps rows from the looking role."""
    identities: tuple[Identity, ...]
    """Of the table, or of the partitions that hold its rows."""
    primary_key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def publishable(self) -> bool:
        """Whether its changes go to the WAL, and a publication can have it."""
        return self.kind in {"r", "p"} and self.persistence == "p"

    @property
    def partitioned(self) -> bool:
        return self.kind == "p"


@dataclass(frozen=True)
class Publication:
    all_tables: bool
    schemas: tuple[str, ...]
    """Published as a whole."""
    tables: frozenset[str]
    """Published by name."""
    filtered: tuple[str, ...]
    """Those of them with a row filter or a list of columns."""
    operations: frozenset[str]
    via_root: bool
    owner: str
    owned: bool
    """By the looking role, or by one that it is in."""


@dataclass(frozen=True)
class Slot:
    kind: str
    """``logical`` or ``physical``"""
    plugin: str | None
    database: str | None
    holder: str | None
    """The role that reads it at this moment."""
    holder_pid: int | None
    holder_application: str | None
    """What that calls itself, and where its connection comes from: ``application_name, address``."""
    confirmed: int | None
    """``confirmed_flush_lsn``: the server sends nothing from before it; None of a physical slot."""
    wal_status: str | None
    """``reserved``, ``extended``, ``unreserved`` or ``lost``; None of a slot that keeps nothing yet."""
    invalidation: str | None
    """Why it can't be used any more, where the server says so (17 and newer)."""


def rows_of(connection: psycopg.Connection[tuple[Any, ...]]) -> Rows:
    """Runs queries by `connection`."""
    return lambda query, parameters=(): connection.execute(query, parameters or None).fetchall()


def relations(rows: Rows, names: list[str]) -> dict[str, Relation]:
    """The relations of these names that are there. Their schemas need not be usable for that."""
    found = rows(
        f"""
        SELECT n.nspname || '.' || c.relname, c.oid, c.relkind::text, c.relpersistence::text,
            c.relreplident::text, pg_has_role(c.relowner, 'USAGE'), has_schema_privilege(n.oid, 'USAGE'),
            has_table_privilege(c.oid, 'SELECT'), row_security_active(c.oid), {PRIMARY}, {IDENTITY}
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname || '.' || c.relname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        """,  # noqa: S608  (of constants)
        [names],
    )
    return {
        name: Relation(
            name=name,
            kind=kind,
            persistence=persistence,
            owned=owned,
            usable_schema=usable,
            readable=readable,
            hidden_rows=hidden,
            identities=_partitions(rows, oid)
            if kind == "p"
            else (Identity(name, identity, tuple(primary), tuple(index)),),
            primary_key=tuple(primary),
            columns=_columns(rows, oid),
        )
        for name, oid, kind, persistence, identity, owned, usable, readable, hidden, primary, index in found
    }


def _partitions(rows: Rows, oid: int) -> tuple[Identity, ...]:
    """An identity does not come down from the partitioned table: each partition has its own."""
    found = rows(
        f"""
        SELECT n.nspname || '.' || c.relname, c.relreplident::text, {PRIMARY}, {IDENTITY}
        FROM pg_partition_tree(%s::oid::regclass) p
        JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE p.isleaf AND c.relkind = 'r' ORDER BY 1
        """,  # noqa: S608  (of constants)
        [oid],
    )
    return tuple(Identity(name, kind, tuple(primary), tuple(index)) for name, kind, primary, index in found)


def _columns(rows: Rows, oid: int) -> tuple[Column, ...]:
    found = rows(
        """
        WITH RECURSIVE based AS (
            SELECT attname::text AS name, attnum, format_type(atttypid, atttypmod) AS type, atttypid AS base,
                attgenerated::text AS generated
            FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
            UNION ALL
            SELECT b.name, b.attnum, b.type, t.typbasetype, b.generated
            FROM based b JOIN pg_type t ON t.oid = b.base WHERE t.typtype = 'd'
        )
        SELECT b.name, b.type, coalesce(e.typname, t.typname)::text, coalesce(e.typtype, t.typtype)::text,
            e.oid IS NOT NULL, b.generated
        FROM based b JOIN pg_type t ON t.oid = b.base
        LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
        WHERE t.typtype <> 'd' ORDER BY b.attnum
        """,
        [oid],
    )
    return tuple(Column(*each) for each in found)


def publication(rows: Rows, name: str, version: int) -> Publication | None:
    found = rows(
        """
        SELECT oid, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot,
            pg_get_userbyid(pubowner)::text, pg_has_role(pubowner, 'USAGE')
        FROM pg_publication WHERE pubname = %s
        """,
        [name],
    )
    if not found:
        return None
    oid, all_tables, *published, via_root, owner, owned = found[0]
    parts = "r.prqual IS NOT NULL OR r.prattrs IS NOT NULL" if version >= 150000 else "false"
    tables = rows(
        f"""
        SELECT n.nspname || '.' || c.relname, {parts}
        FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = %s ORDER BY 1
        """,  # noqa: S608  (of constants)
        [oid],
    )
    schemas = (
        rows(
            "SELECT n.nspname::text FROM pg_publication_namespace p JOIN pg_namespace n ON n.oid = p.pnnspid"
            " WHERE p.pnpubid = %s ORDER BY 1",
            [oid],
        )
        if version >= 150000
        else []
    )
    return Publication(
        all_tables=all_tables,
        schemas=tuple(schema for (schema,) in schemas),
        tables=frozenset(table for table, _ in tables),
        filtered=tuple(table for table, filtered in tables if filtered),
        operations=frozenset(
            operation
            for operation, is_published in zip(
                ("insert", "update", "delete", "truncate"), published, strict=True
            )
            if is_published
        ),
        via_root=via_root,
        owner=owner,
        owned=owned,
    )


def slot(rows: Rows, name: str, version: int) -> Slot | None:
    reason = "s.invalidation_reason" if version >= 170000 else "NULL"
    found = rows(
        f"""
        SELECT s.slot_type, s.plugin::text, s.database::text, a.usename::text, s.active_pid,
            concat_ws(', ', nullif(a.application_name, ''), host(a.client_addr)),
            (s.confirmed_flush_lsn - '0/0'::pg_lsn)::bigint, s.wal_status, {reason}
        FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid
        WHERE s.slot_name = %s
        """,  # noqa: S608  (of constants)
        [name],
    )
    return Slot(*found[0]) if found else None
