"""The source database on this machine: database, capturing role, tables.

On other substrates the database is the customer's; here it is made from the declaration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import psycopg
from psycopg import sql
from psycopg.pq import PGconn, Ping
from pydantic import BaseModel, ConfigDict, Field

from headrace.errors import HeadraceError
from headrace.local.files import StackFiles
from headrace.local.secrets import ensure_password, read_property
from headrace.local.source_access import administrator
from headrace.provider.resource import Inputs, JsonObject, Kind
from headrace.waiting import wait_until

CONNECT_TIMEOUT_S = 5
RECOVERED_TIMEOUT_S = 180
Connection = psycopg.Connection[tuple[Any, ...]]


class Column(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_ ]*(\(\d+(, ?\d+)?\))?(\[\])?$")
    """A type's name goes into the statement as it is, so it may be nothing but a type's name."""


class Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(*self.name.split("."))

    @property
    def needs_full_identity(self) -> bool:
        """A delete carries the primary key alone, unless the whole old row is logged."""
        return not set(self.key) <= set(self.primary_key)


class DatabaseInputs(Inputs):
    root: str
    port: int
    database: str
    role: str
    password_file: str
    """Properties file with ``password=``; made with a random password where it is missing."""
    tables: tuple[Table, ...]


class DatabaseKind(Kind[DatabaseInputs]):
    token = "headrace-local:index:Database"
    inputs = DatabaseInputs
    replace_on = frozenset({"database"})
    settled: ClassVar = {"status": "present"}
    unobserved = frozenset({"root", "port"})

    def identify(self, inputs: DatabaseInputs) -> str:
        return inputs.database

    def create(self, inputs: DatabaseInputs) -> JsonObject:
        wait_for_server(inputs.port)
        with _connect(inputs, "postgres") as server:
            if not _database_exists(server, inputs):
                server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(inputs.database)))
        with _connect(inputs, inputs.database) as database, database.transaction():
            _ensure_role(database, inputs)
            for table in inputs.tables:
                _ensure_table(database, table)
            _grant(database, inputs)
        return {"status": "present"}

    def read(self, inputs: DatabaseInputs) -> JsonObject | None:
        try:
            with _connect(inputs, "postgres") as server:
                if not _database_exists(server, inputs):
                    return None
            with _connect(inputs, inputs.database) as database:
                complete = all(
                    {column.name for column in table.columns} <= _shape(database, table.name).keys()
                    for table in inputs.tables
                )
                return {"status": "present" if complete else "incomplete"}
        except psycopg.OperationalError:
            return {"status": "unreachable"}

    def delete(self, inputs: DatabaseInputs) -> None:
        with _connect(inputs, "postgres") as server:
            server.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(inputs.database))
            )


def wait_for_server(port: int) -> None:
    """Its port is open while the server still recovers after a crash, and refuses every client.

    Raises:
        WaitEnded: it took no connection in all that time.
    """
    wait_until("PostgreSQL taking connections", lambda: _takes_connections(port), RECOVERED_TIMEOUT_S)


def _takes_connections(port: int) -> bool:
    address = f"host=127.0.0.1 port={port} connect_timeout={CONNECT_TIMEOUT_S}"
    return PGconn.ping(address.encode()) == Ping.OK


def _connect(inputs: DatabaseInputs, database: str) -> Connection:
    access = administrator(StackFiles(Path(inputs.root)), inputs.port, database)
    return psycopg.connect(**access.parameters, connect_timeout=CONNECT_TIMEOUT_S, autocommit=True)


def _database_exists(server: Connection, inputs: DatabaseInputs) -> bool:
    return (
        server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [inputs.database]).fetchone()
        is not None
    )


def _ensure_role(database: Connection, inputs: DatabaseInputs) -> None:
    path = Path(inputs.password_file)
    ensure_password(path, "password={}\n")
    exists = database.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [inputs.role]).fetchone()
    statement = (
        "ALTER ROLE {} LOGIN REPLICATION PASSWORD {}"
        if exists
        else "CREATE ROLE {} LOGIN REPLICATION PASSWORD {}"
    )
    password = sql.Literal(read_property(path, "password"))
    database.execute(sql.SQL(statement).format(sql.Identifier(inputs.role), password))


def _ensure_table(database: Connection, table: Table) -> None:
    """Make the table or add its new columns; what can't be mended so is refused. Within one transaction."""
    if not table.columns:
        return
    schema = sql.Identifier(table.name.split(".")[0])
    database.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
    body = sql.SQL(", ").join([*map(_column, table.columns), _primary_key(table)])
    database.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(table.identifier, body))
    for column in table.columns:
        addition = sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {}")
        database.execute(addition.format(table.identifier, _column(column)))
    _refuse_other_shape(database, table, body)
    identity = sql.SQL("FULL" if table.needs_full_identity else "DEFAULT")
    database.execute(sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(table.identifier, identity))


def _column(column: Column) -> sql.Composable:
    return sql.SQL("{} " + column.type).format(sql.Identifier(column.name))


def _primary_key(table: Table) -> sql.Composable:
    return sql.SQL("PRIMARY KEY ({})").format(sql.SQL(", ").join(map(sql.Identifier, table.primary_key)))


def _refuse_other_shape(database: Connection, table: Table, body: sql.Composable) -> None:
    """Compare with an empty table of the declared shape: PostgreSQL itself knows which types are the same."""
    database.execute(sql.SQL("CREATE TEMP TABLE declared ({})").format(body))
    declared, found = (_shape(database, name) for name in ("declared", table.name))
    database.execute("DROP TABLE declared")
    other = [
        f"{name} is {found.get(name)}, declared as {shape}"
        for name, shape in declared.items()
        if found.get(name) != shape
    ]
    if other:
        raise HeadraceError(
            f"table {table.name} exists with another shape: {'; '.join(other)}. Columns are added, but not"
            " changed: alter the table by hand, or mend the declaration. The database was left as it is"
        )


def _shape(database: Connection, table: str) -> dict[str, str]:
    """Column -> its type, and whether it belongs to the primary key."""
    rows = database.execute(
        """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod), coalesce(a.attnum = ANY (i.indkey), false)
        FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
        WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
        """,
        [table],
    )
    return {name: f"{kind} in the primary key" if in_key else kind for name, kind, in_key in rows}


def _grant(database: Connection, inputs: DatabaseInputs) -> None:
    role = sql.Identifier(inputs.role)
    for table in inputs.tables:
        schema = sql.Identifier(table.name.split(".")[0])
        database.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role))
        database.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(table.identifier, role))
