"""Types of columns are judged and written as Debezium does it, type by type of a real server."""

from __future__ import annotations

import json

from headrace.capture.columns import is_carried
from headrace.capture.look import Look
from headrace.toolchain.runtimes import Runtimes
from headrace_agents.rows import VALUES
from tests.engine.capture.debeziums_word import told_by
from tests.engine.capture.server import PASSWORD
from tests.engine.capture.source import Source

EXTENSIONS = ("citext", "hstore", "isn", "ltree", "cube")
MADE = (
    "CREATE TYPE mood AS ENUM ('calm', 'busy')",
    "CREATE TYPE pair AS (a int, b int)",
    "CREATE DOMAIN price AS numeric(12, 2)",
    "CREATE DOMAIN sale_price AS price",
    "CREATE DOMAIN place AS tsquery",
)
EVERY_TYPE = """
SELECT t.oid::regtype::text FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type e ON e.oid = t.typelem
LEFT JOIN pg_class c ON c.oid IN (t.typrelid, e.typrelid)
WHERE t.typtype <> 'p' AND t.typisdefined AND n.nspname IN ('pg_catalog', 'public')
    AND t.typname !~ '^_?(pg_|gtsvector|any|cstring|record|int2vector|oidvector)'
    AND coalesce(c.relkind, 'c') = 'c' ORDER BY t.oid
"""
"""But for pseudo-types, rows of tables, and what the catalogue alone uses."""


def every_type(source: Source) -> dict[str, str]:
    """Makes a table with a column of each type; column -> its type."""
    source.run(*(f"CREATE EXTENSION {name}" for name in EXTENSIONS), *MADE)
    with source.server.connect(source.plan.database) as connection:
        types = [name for (name,) in connection.execute(EVERY_TYPE)]
    columns = {f"c{number}": name for number, name in enumerate(types)}
    source.run(f"CREATE TABLE everything ({', '.join(f'{c} {t}' for c, t in columns.items())})")
    return columns


def debeziums_word(source: Source) -> dict[str, bool]:
    """Column -> whether it is carried."""
    lines = [line for line in by_debezium(source, "CarriedTypes.java") if line[0] == "everything"]
    return {column: carried == "true" for _, column, carried in lines}


def by_debezium(source: Source, program: str) -> list[list[str]]:
    """What a program beside this file prints, with the shipped connector and the source's configuration."""
    config = source.plan.connector_config | {
        "database.user": "postgres",
        "database.password": PASSWORD,
        "database.port": str(source.server.port),
    }
    return told_by(program, Runtimes.locate().connect_plugins / "debezium-postgres", config)


def test_every_type_is_judged_as_debezium_does(source: Source) -> None:
    types = every_type(source)
    table = source.plan.tables[1].model_copy(update={"name": "public.everything"})
    with source.access.open() as connection:
        look = Look(
            source=source.plan.model_copy(update={"tables": (table,)}),
            connection=connection,
            replication=source.access.open,
            version=connection.info.server_version,
        )
        judged = {column.name: is_carried(column) for column in look.relations["public.everything"].columns}
    told = debeziums_word(source)

    assert judged.keys() == told.keys() == types.keys()
    differences = {types[name]: told[name] for name in types if judged[name] != told[name]}
    assert differences == {}
    assert len(types) > 120
    assert 0 < sum(told.values()) < len(told)


WRITTEN = {
    "bytea": "'\\x000102'",
    "json": "'{{}}'",
    "jsonb": "'{{}}'",
    "money": "'12345'",
    "xml": "'a text'",
} | {
    **dict.fromkeys(("inet", "cidr"), "'10.0.0.1'"),
    **dict.fromkeys(("macaddr", "macaddr8"), "'08:00:2b:01:02:03'"),
    **dict.fromkeys(("char", "character", "bpchar"), "'a'"),
    **{kind: "'2026-03-04 05:06:07.000009'" for kind in VALUES if kind.startswith("timestamp")},
    "ltree": "'a.text'",
}
"""By type, what is written as an SQL literal; of others, the value itself. Times are UTC's."""


def literal(kind: str) -> str:
    value = VALUES[kind]
    if kind in WRITTEN:
        return WRITTEN[kind]
    return f"'{value.removesuffix('Z')}'" if isinstance(value, str) else json.dumps(value)


def test_values_that_rows_are_checked_with_are_as_debezium_writes_them(source: Source) -> None:
    kinds = {f"c{number}": kind for number, kind in enumerate(VALUES)}
    source.run(
        *(f"CREATE EXTENSION IF NOT EXISTS {name}" for name in ("citext", "ltree")),
        "SET TimeZone = 'UTC'",
        f"CREATE TABLE valued ({', '.join(f'{c} {kind}' for c, kind in kinds.items())})",
        f"INSERT INTO valued VALUES ({', '.join(map(literal, kinds.values()))})",
    )
    written = {
        kinds[column]: json.loads(value) for column, value in by_debezium(source, "ConvertedValues.java")
    }

    texts = {kind for kind, value in VALUES.items() if value == "a text"}
    assert {kind: type(value) for kind, value in written.items() if kind in texts} == dict.fromkeys(
        texts, str
    )
    assert {k: v for k, v in written.items() if k not in texts} == {
        k: v for k, v in VALUES.items() if k not in texts
    }
