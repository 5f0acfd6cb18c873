"""Checks of the declared tables: there, readable, with what a delete's key is taken from."""

from __future__ import annotations

import re
from collections.abc import Iterator

from psycopg import sql

from headrace.capture.catalogue import Identity, Relation
from headrace.capture.finding import Flaw, Mend
from headrace.capture.look import Look
from headrace.capture.statements import name, names, statement
from headrace.plan.model import TablePlan

KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}


def _found(look: Look) -> Iterator[tuple[TablePlan, Relation]]:
    for table in look.source.tables:
        if relation := look.relations.get(table.name):
            yield table, relation


def tables_exist(look: Look) -> Iterator[Flaw]:
    """Each declared table is there"""
    for table in look.source.tables:
        if table.name not in look.relations:
            yield Flaw(
                "error",
                f"{table.name} is not in database {look.source.database}",
                "its topic stays empty, and the publication can't have it",
                Mend(_creation(table), advice="or mend the declaration"),
            )


def _creation(table: TablePlan) -> tuple[str, ...]:
    if not table.columns:
        return ()
    columns = [sql.SQL("{} " + column.type).format(name(column.name)) for column in table.columns]
    key = sql.SQL("PRIMARY KEY ({})").format(names(table.primary_key))
    body = sql.SQL(", ").join([*columns, key])
    return (statement("CREATE TABLE {} ({})", name(table.name), body),)


def tables_are_logged(look: Look) -> Iterator[Flaw]:
    """Each is an ordinary or a partitioned table, and its changes go to the WAL"""
    for table, relation in _found(look):
        if relation.kind in KINDS:
            yield Flaw(
                "error",
                f"{table.name} is {KINDS[relation.kind]}",
                "it has no changes of its own in the WAL, and can't be published",
                Mend(advice="declare the tables beneath it"),
            )
        elif relation.persistence != "p":
            yield Flaw(
                "error",
                f"{table.name} is unlogged",
                "its changes are not in the WAL, and it can't be published",
                Mend(
                    (statement("ALTER TABLE {} SET LOGGED", name(table.name)),),
                    advice="it writes the whole table anew, and nobody reads it meanwhile",
                ),
            )


def tables_are_readable(look: Look) -> Iterator[Flaw]:
    """The role may read each table: its schema's USAGE, and SELECT on all of its columns"""
    role = name(look.role)
    for table, relation in _found(look):
        schema, grants = table.name.split(".")[0], []
        if not relation.usable_schema:
            grants.append(statement("GRANT USAGE ON SCHEMA {} TO {}", name(schema), role))
        if not relation.readable:
            grants.append(statement("GRANT SELECT ON {} TO {}", name(table.name), role))
        if grants:
            yield Flaw(
                "error",
                f"role {look.role} may not read {table.name}",
                "the snapshot fails, and the connector with it",
                Mend(tuple(grants), safe=True),
            )


def rows_are_visible(look: Look) -> Iterator[Flaw]:
    """Row security hides no row of a table from the role"""
    for table, relation in _found(look):
        if relation.hidden_rows:
            yield Flaw(
                "error",
                f"row security of {table.name} holds for role {look.role}",
                "the snapshot leaves the rows out that it hides, and nothing says so",
                Mend(
                    (statement("ALTER ROLE {} BYPASSRLS", name(look.role)),),
                    advice="the role then reads every row of every table it may read",
                ),
            )


def primary_keys(look: Look) -> Iterator[Flaw]:
    """Each table has the primary key that is declared"""
    for table, relation in _found(look):
        if set(relation.primary_key) == set(table.primary_key) or relation.kind in KINDS:
            continue
        wanted = ", ".join(table.primary_key)
        if relation.primary_key:
            yield Flaw(
                "warning",
                f"{table.name} has primary key ({', '.join(relation.primary_key)}), declared is ({wanted})",
                "what the plan says of keys and of old rows is worked out from another key",
                Mend(advice="mend the declaration"),
            )
        else:
            key = statement("ALTER TABLE {} ADD PRIMARY KEY ({})", name(table.name), names(table.primary_key))
            yield Flaw(
                "warning",
                f"{table.name} has no primary key, declared is ({wanted})",
                "two rows may have one key, and their changes can't be told apart",
                Mend((key,), advice="it builds an index, and nobody writes to the table meanwhile"),
            )


def replica_identities(look: Look) -> Iterator[Flaw]:
    """What is logged of an old row has the columns of the record's key; of each partition, too"""
    for table, relation in _found(look):
        if not relation.publishable:
            continue
        set_by_connector = relation.owned and not relation.partitioned and _sets_identity(look, table.name)
        for identity in relation.identities:
            if not identity.logs(table.key):
                yield Flaw(
                    "info" if set_by_connector else "error",
                    f"replica identity of {identity.table} has not all of ({', '.join(table.key)})",
                    "the connector sets it when it starts"
                    if set_by_connector
                    else "a delete has no key to be told by; without a primary key the application's own"
                    " updates and deletes fail as soon as the table is published",
                    Mend(
                        (
                            statement(
                                "ALTER TABLE {} REPLICA IDENTITY {}",
                                name(identity.table),
                                sql.SQL(_fitting(identity, table)),
                            ),
                        ),
                        safe=True,
                    ),
                )


def _fitting(identity: Identity, table: TablePlan) -> str:
    return "DEFAULT" if identity.primary_key and set(table.key) <= set(identity.primary_key) else "FULL"


def _sets_identity(look: Look, table: str) -> bool:
    """Whether Debezium is told to: patterns of tables, each with the identity they get."""
    told = look.config.get("replica.identity.autoset.values", "")
    patterns = [pair.rpartition(":")[0].strip() for pair in told.split(",") if pair]
    return any(re.fullmatch(pattern, table) for pattern in patterns)
