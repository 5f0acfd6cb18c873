"""The demo load: a few rows that make the agents decide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg import sql

from headrace.local.context import HOST
from headrace.local.secrets import SUPERUSER_PASSWORD
from headrace.operations.stack import Stack

Rows = dict[str, list[dict[str, Any]]]


def demo_file(stack: Stack) -> Path:
    """``stacks/demo.NAME.yaml``: source -> table -> rows."""
    return stack.project / "stacks" / f"demo.{stack.name}.yaml"


def send_demo(stack: Stack) -> Iterator[str]:
    """Insert the rows that are not there yet, each in a transaction; yields the table of each inserted row.

    A row is known by its primary key: an interrupted demo goes on, a finished one sends nothing.
    """
    path = demo_file(stack)
    if not path.exists():
        return
    declared: dict[str, Rows] = yaml.safe_load(path.read_text())
    for source in stack.plan.sources:
        tables = declared.get(source.name, {})
        with connect(stack, source.database) as connection:
            for table, rows in tables.items():
                for row in rows:
                    if connection.execute(_insert(table, row), list(row.values())).rowcount:
                        yield f"{source.name}.{table}"


def connect(stack: Stack, database: str) -> psycopg.Connection[tuple[Any, ...]]:
    """As the server's superuser, each statement in its own transaction."""
    return psycopg.connect(
        host=HOST,
        port=stack.plan.ports.postgres,
        dbname=database,
        user="postgres",
        password=stack.files.secret(SUPERUSER_PASSWORD).read_text(),
        autocommit=True,
    )


def _insert(table: str, row: dict[str, Any]) -> sql.Composed:
    return sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
        sql.Identifier(*table.split(".")),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
