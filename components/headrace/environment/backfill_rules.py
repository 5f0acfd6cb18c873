"""Rules between a backfill, its source and what the connector can do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from headrace.environment.engines import ENGINES
from headrace.environment.model import Backfill, Source
from headrace.environment.parts import Parts, Placed
from headrace.environment.problem import Problem
from headrace.environment.substrates import AwsSubstrate


def backfill_declared_twice(parts: Parts) -> Iterator[Problem]:
    """Each backfill of a source has an id of its own: what has run is known by it."""
    for source in parts.sources:
        seen: set[str] = set()
        for _, backfill in _backfills(parts, source):
            here = backfill.value.id
            if here in seen:
                yield backfill.problem(
                    "id", given=f"{here!r} a second time", allowed="each backfill of a source once"
                )
            seen.add(here)


def backfill_of_another_table(parts: Parts) -> Iterator[Problem]:
    """A backfill reads declared tables of its source, each once; its conditions are of those."""
    for source, backfill in _backfills(parts):
        captured = [table.name for table in source.value.tables]
        for at, table in enumerate(backfill.value.tables):
            if table not in captured:
                allowed = f"a table of source {source.value.name}: {', '.join(captured)}"
                yield backfill.problem("tables", at, given=repr(table), allowed=allowed)
        for table, times in Counter(backfill.value.tables).items():
            if times > 1:
                yield backfill.problem("tables", given=f"{table!r} {times} times", allowed="each one once")
        for table in backfill.value.where:
            if table not in backfill.value.tables:
                allowed = f"a table of the backfill: {', '.join(backfill.value.tables)}"
                yield backfill.problem("where", table, given=f"a condition of {table}", allowed=allowed)


def backfill_by_a_key_of_several_rows(parts: Parts) -> Iterator[Problem]:
    """A backfilled table's key has the whole primary key: Debezium tells rows of a chunk apart by the key."""
    for source, backfill in _backfills(parts):
        tables = {table.name: table for table in source.value.tables}
        for at, name in enumerate(backfill.value.tables):
            table = tables.get(name)
            missing = [] if table is None else [c for c in table.primary_key if c not in table.message_key]
            if table is not None and missing:
                yield backfill.problem(
                    "tables",
                    at,
                    given=f"{name!r}, whose records have the key {', '.join(table.message_key)}",
                    allowed=f"a table whose key has its primary key, {', '.join(table.primary_key)}: of the"
                    " rows with one key Debezium's incremental snapshot keeps one, the others would be lost",
                )


def backfill_on_aws(parts: Parts) -> Iterator[Problem]:
    """Backfills run on this machine alone: nothing tells a connector on MSK Connect to begin yet."""
    if parts.substrate is None or not isinstance(parts.substrate.value, AwsSubstrate):
        return
    for source in parts.sources:
        # Of another engine they are refused on every substrate.
        if source.value.backfills and not ENGINES[source.value.engine].has_binlog:
            yield source.problem(
                "backfills",
                given=f"{len(source.value.backfills)} of them",
                allowed="left out: substrate.kind is `aws`, where connectors take no signals yet",
            )


def _backfills(
    parts: Parts, of: Placed[Source] | None = None
) -> Iterator[tuple[Placed[Source], Placed[Backfill]]]:
    """Of every source, or of one."""
    for source in parts.sources if of is None else (of,):
        for at, backfill in enumerate(source.value.backfills):
            yield source, Placed((*source.path, "backfills", at), backfill)


RULES: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    backfill_declared_twice,
    backfill_of_another_table,
    backfill_by_a_key_of_several_rows,
    backfill_on_aws,
)
