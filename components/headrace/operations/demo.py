"""The demo load: a few rows that make the agents decide."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg import sql

from headrace.errors import HeadraceError
from headrace.local.source_access import administrator
from headrace.operations.stack import Stack

Rows = dict[str, list[dict[str, Any]]]
RECONNECT_PAUSE_S = 0.5


@dataclass(frozen=True)
class DemoRow:
    """A row of the demo that some agent hears of."""

    database: str
    table: str
    key: dict[str, Any]
    """Its primary key."""


def demo_file(stack: Stack) -> Path:
    """``stacks/demo.NAME.yaml``: source -> table -> rows."""
    return stack.project / "stacks" / f"demo.{stack.name}.yaml"


def send_demo(stack: Stack) -> Iterator[str]:
    """Insert the rows that are not there yet, each in a transaction; yields the table of each inserted row.

    A row is known by its primary key: an interrupted demo goes on, a finished one sends nothing.
    """
    declared = _declared(stack)
    for source in stack.plan.sources:
        tables = declared.get(source.name)
        if tables is None:
            continue
        with connect(stack, source.database) as connection:
            for table, rows in tables.items():
                for row in rows:
                    if connection.execute(_insert(table, row), list(row.values())).rowcount:
                        yield f"{source.name}.{table}"


def _declared(stack: Stack) -> dict[str, Rows]:
    path = demo_file(stack)
    return dict(yaml.safe_load(path.read_text())) if path.exists() else {}


def heard_rows(stack: Stack) -> list[DemoRow]:
    """The demo's rows of tables that an agent reads; none where the stack has no demo."""
    declared = _declared(stack)
    heard = {given.topic for agent in stack.plan.agents for given in agent.spec.inputs}
    return [
        DemoRow(source.database, table.name, {name: row[name] for name in table.primary_key})
        for source in stack.plan.sources
        for table in source.tables
        if table.topic in heard
        for row in declared.get(source.name, {}).get(table.name, [])
    ]


@contextmanager
def touching(stack: Stack, per_second: float) -> Iterator[None]:
    """So many changes a second, from a thread of its own: the demo's rows are updated to what they are.

    Each update is an event for the agents that read its table; no row is added or changed.

    Raises:
        HeadraceError: the stack has no demo rows that an agent hears of.
    """
    rows = heard_rows(stack)
    if not rows:
        raise HeadraceError(
            f"no load can be sent: {demo_file(stack)} has no rows of a table that an agent reads. Send load "
            "yourself and give --load 0, or declare demo rows"
        )
    for _ in send_demo(stack):
        pass
    stop = threading.Event()
    thread = threading.Thread(
        target=_touch, args=(stack, rows, per_second, stop), name="demo load", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _touch(stack: Stack, rows: list[DemoRow], per_second: float, stop: threading.Event) -> None:
    """At a constant rate that waits for nothing; a lost database is tried again until it is back."""
    endless, due = itertools.cycle(rows), time.monotonic()
    connections: dict[str, psycopg.Connection[tuple[Any, ...]]] = {}
    while not stop.wait(max(0.0, due - time.monotonic())):
        due += 1 / per_second
        row = next(endless)
        try:
            if row.database not in connections:
                connections[row.database] = connect(stack, row.database)
            connections[row.database].execute(_update(row), list(row.key.values()))
        except psycopg.OperationalError:
            connections.pop(row.database, None)
            due = time.monotonic() + RECONNECT_PAUSE_S
    for connection in connections.values():
        connection.close()


def connect(stack: Stack, database: str) -> psycopg.Connection[tuple[Any, ...]]:
    """As the server's superuser, each statement in its own transaction."""
    access = administrator(stack.files, stack.plan.ports.postgres, database)
    return psycopg.connect(**access.parameters, autocommit=True)


def _insert(table: str, row: dict[str, Any]) -> sql.Composed:
    return sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
        sql.Identifier(*table.split(".")),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )


def _update(row: DemoRow) -> sql.Composed:
    first = sql.Identifier(next(iter(row.key)))
    return sql.SQL("UPDATE {} SET {} = {} WHERE {}").format(
        sql.Identifier(*row.table.split(".")),
        first,
        first,
        sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in row.key),
    )
