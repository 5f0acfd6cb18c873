"""The demo load of the shipped declaration."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import yaml

from headrace.operations.demo import DemoRow, _insert, _update, demo_file, heard_rows, send_demo
from headrace.operations.stack import Stack
from headrace.operations.up import _expected_outcomes


def test_the_shipped_rows_fit_the_declared_tables(stack: Stack) -> None:
    declared = {
        f"{source.name}.{table.name}": {column.name for column in table.columns}
        for source in stack.plan.sources
        for table in source.tables
    }
    primary_keys = {
        f"{source.name}.{table.name}": table.primary_key
        for source in stack.plan.sources
        for table in source.tables
    }
    demo = yaml.safe_load(demo_file(stack).read_text())
    rows = {f"{source}.{table}": rows for source, tables in demo.items() for table, rows in tables.items()}
    assert rows
    for table, table_rows in rows.items():
        assert {column for row in table_rows for column in row} == declared[table]
        keys = [tuple(row[column] for column in primary_keys[table]) for row in table_rows]
        assert len(keys) == len(set(keys))


def test_only_rows_of_tables_that_an_agent_reads_are_waited_for(stack: Stack) -> None:
    inserted = Counter({"support.public.tickets": 8, "support.public.customers": 3})
    assert _expected_outcomes(stack, inserted) == 8
    assert _expected_outcomes(stack, Counter()) == 0


def test_a_stack_without_a_demo_is_sent_nothing(project: Path) -> None:
    stack = Stack.find("local", start=project)
    demo_file(stack).unlink()
    assert list(send_demo(stack)) == []


def test_names_are_quoted_and_a_row_that_is_there_is_left_alone() -> None:
    statement = _insert("public.tickets", {"id": 1, "order": "x"}).as_string(None)
    assert statement == (
        'INSERT INTO "public"."tickets" ("id", "order") VALUES (%s, %s) ON CONFLICT DO NOTHING'
    )


def test_the_rows_that_are_touched_are_those_that_an_agent_hears_of(stack: Stack) -> None:
    rows = heard_rows(stack)
    assert {row.table for row in rows} == {"public.tickets", "public.orders", "public.payments"}
    assert {tuple(row.key) for row in rows if row.table == "public.orders"} == {("order_id",)}
    assert {row.database for row in rows} == {"support"}


def test_a_touched_row_keeps_its_values() -> None:
    row = DemoRow("support", "public.lines", {"order": 7, "line": 1})
    assert _update(row).as_string(None) == (
        'UPDATE "public"."lines" SET "order" = "order" WHERE "order" = %s AND "line" = %s'
    )
