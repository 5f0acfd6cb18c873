"""What happened to a table, as a trigger wrote it down in the same transactions; and a topic's part of it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from tests.pipeline.ledger import Record

TABLE, TOPIC = "public.accounts", "books.public.accounts"
KEPT = """
CREATE TABLE IF NOT EXISTS public.history (number bigserial PRIMARY KEY, op text, old jsonb, new jsonb);
CREATE OR REPLACE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO public.history (op, old, new) VALUES (
    CASE TG_OP WHEN 'INSERT' THEN 'c' WHEN 'UPDATE' THEN 'u' ELSE 'd' END,
    CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END,
    CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON public.accounts
  FOR EACH ROW EXECUTE FUNCTION public.note();
"""
"""Of one row it says the order in which its changes were committed, as each waited for the one before."""


class Change(NamedTuple):
    """One record's worth. No two are the same: each change of a row gives it a new revision, and a deleted
    row does not come again."""

    op: str
    id: int
    owner: int
    revision: str


def keep(connection: psycopg.Connection[Any]) -> None:
    connection.execute(KEPT)


def happened(connection: psycopg.Connection[Any]) -> list[Change]:
    """In the order of each row. A change of the key is a delete of the old and a create of the new."""
    rows = connection.execute("SELECT op, old, new FROM public.history ORDER BY number").fetchall()
    return [change for op, old, new in rows for change in _changes(op, old, new)]


def _changes(op: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> list[Change]:
    if op == "u" and old and new and old["owner_id"] != new["owner_id"]:
        return [_change("d", old), _change("c", new)]
    row = new or old
    assert row is not None
    return [_change(op, row)]


def _change(op: str, row: Mapping[str, Any]) -> Change:
    return Change(op, row["id"], row["owner_id"], row["revision"])


def captured(records: Iterable[Record]) -> list[Change]:
    """By partition and offset."""
    return [
        _change(record.json["op"], record.json["after"] or record.json["before"])
        for record in sorted(records, key=lambda record: record.position)
    ]


def assert_same(records: Sequence[Record], history: Sequence[Change]) -> None:
    """Each change has one record, and those of a row and key stand in the order in which they happened;
    within a partition transactions stand in the order of their commits."""
    found, expected = Counter(captured(records)), Counter(history)
    lost, twice = expected - found, found - expected
    assert not lost + twice, (
        f"{lost.total()} lost and {twice.total()} too many of {expected.total()}:"
        f" {_about([*lost, *twice][:3], records, history)}"
    )
    assert _by_row_and_owner(captured(records)) == _by_row_and_owner(history)
    commits = defaultdict(list)
    for record in sorted(records, key=lambda record: record.position):
        commits[record.position.partition].append(int(json.loads(record.json["source"]["sequence"])[0] or 0))
    assert all(numbers == sorted(numbers) for numbers in commits.values())


def _by_row_and_owner(changes: Iterable[Change]) -> dict[tuple[int, int], list[Change]]:
    found: dict[tuple[int, int], list[Change]] = defaultdict(list)
    for change in changes:
        found[change.id, change.owner].append(change)
    return found


def _about(some: Sequence[Change], records: Sequence[Record], history: Sequence[Change]) -> str:
    """All that is known of their rows."""
    said = []
    for id_ in {change.id for change in some}:
        said.append(f"row {id_}: {[change for change in history if change.id == id_]}, in the topic:")
        for record in records:
            row = record.json["after"] or record.json["before"]
            if row["id"] == id_:
                said.append(f"{record.position} {record.value!r}")
    return "\n".join(said)
