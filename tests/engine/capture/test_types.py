"""What `column-types` lets pass is what Debezium itself has a form for, type by type of a real server."""

from __future__ import annotations

import subprocess
from pathlib import Path

from headrace.capture.columns import is_carried
from headrace.capture.look import Look
from headrace.toolchain.runtimes import Runtimes
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
    plugin = Runtimes.locate().connect_plugins / "debezium-postgres"
    kafka = Runtimes.locate().kafka
    config = source.plan.connector_config | {
        "database.user": "postgres",
        "database.password": PASSWORD,
        "database.port": str(source.server.port),
    }
    done = subprocess.run(
        ["java", "-cp", f"{plugin}/*:{kafka}/*", str(Path(__file__).with_name("CarriedTypes.java"))],
        input="".join(f"{name}={value}\n".replace("\\", "\\\\") for name, value in config.items()),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    lines = [line.split("\t") for line in done.stdout.splitlines() if line.startswith("everything\t")]
    return {column: carried == "true" for _, column, carried in lines}


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
