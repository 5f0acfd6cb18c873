"""Checks of the declared tables' columns: there, of types that the connector carries, and published."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from psycopg import sql

from headrace.capture.catalogue import Column
from headrace.capture.finding import Flaw, Mend
from headrace.capture.look import Look
from headrace.capture.statements import name, statement
from headrace.plan.model import TablePlan

# Debezium's PostgresValueConverter.schemaBuilder, with include.unknown.datatypes off. Types of extensions are
# found there by name, as here. tests/engine/capture/test_types.py compares.
CARRIED = {
    *("bool", "bit", "varbit", "int2", "int4", "int8", "float4", "float8", "numeric", "money", "oid"),
    *("char", "bpchar", "varchar", "text", "name", "bytea", "uuid", "json", "jsonb", "xml", "tsvector"),
    *("date", "time", "timetz", "timestamp", "timestamptz", "interval"),
    *("inet", "cidr", "macaddr", "macaddr8"),
    *("int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"),
    *("point", "box", "lseg", "path", "polygon", "circle", "line"),
    *("geometry", "geography", "citext", "hstore", "ltree", "vector", "halfvec", "sparsevec", "isbn"),
}
NOT_IN_ARRAYS = {"money", "name", "interval", "varbit", "xml", "point"}
"""Carried alone, but not as the elements of an array."""


def columns_exist(look: Look) -> Iterator[Flaw]:
    """Each declared column and each column of a key is there"""
    for table in look.source.tables:
        if not (relation := look.relations.get(table.name)):
            continue
        there = {column.name for column in relation.columns}
        types = {column.name: column.type for column in table.columns}
        for column in dict.fromkeys((*table.key, *table.primary_key, *types)):
            if column not in there:
                yield Flaw(
                    "error",
                    f"{table.name} has no column {column}",
                    "records lack what agents are declared to read, or the connector can't make their keys",
                    Mend(_addition(table.name, column, types.get(column)), advice="or mend the declaration"),
                )


def _addition(table: str, column: str, kind: str | None) -> tuple[str, ...]:
    if kind is None:
        return ()
    return (statement("ALTER TABLE {} ADD COLUMN {} {}", name(table), name(column), sql.SQL(kind)),)


def column_types(look: Look) -> Iterator[Flaw]:
    """The connector carries each column's type"""
    for table, column in _columns(look):
        if not is_carried(column):
            yield Flaw(
                _severity(table, column),
                f"{table.name}.{column.name} is {column.type}, which Debezium does not carry",
                "records come without it, and nothing says so",
                Mend(
                    (
                        statement(
                            "ALTER TABLE {} ALTER COLUMN {} TYPE text", name(table.name), name(column.name)
                        ),
                    ),
                    advice="it writes the whole table anew, and nobody reads it meanwhile; a second column"
                    " that a trigger fills does without",
                ),
            )


def generated_columns(look: Look) -> Iterator[Flaw]:
    """No column is generated: the WAL's changes come without it"""
    for table, column in _columns(look):
        if column.generated:
            drop = statement(
                "ALTER TABLE {} ALTER COLUMN {} DROP EXPRESSION", name(table.name), name(column.name)
            )
            yield Flaw(
                _severity(table, column),
                f"{table.name}.{column.name} is generated",
                "it is in the snapshot's records and not in those of changes",
                Mend(
                    (drop,) if column.generated == "s" else (),
                    advice="or leave it out of the declaration: what it is made from is in the records",
                ),
            )


def _columns(look: Look) -> Iterator[tuple[TablePlan, Column]]:
    for table in look.source.tables:
        if relation := look.relations.get(table.name):
            yield from ((table, column) for column in relation.columns)


def _severity(table: TablePlan, column: Column) -> Literal["error", "warning"]:
    """A column that somebody declared, or that makes a key, is missed."""
    wanted = {*table.key, *table.primary_key, *(declared.name for declared in table.columns)}
    return "error" if column.name in wanted else "warning"


def is_carried(column: Column) -> bool:
    if column.base_kind == "e":
        return True
    return column.base in CARRIED and not (column.is_array and column.base in NOT_IN_ARRAYS)
