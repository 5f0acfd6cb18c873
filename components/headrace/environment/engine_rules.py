"""Rules between a source's engine, its other fields, and the substrate."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from headrace.environment import names
from headrace.environment.engines import ENGINES
from headrace.environment.parts import Parts
from headrace.environment.problem import Problem
from headrace.environment.substrates import LocalSubstrate


def engine_that_does_not_run_here(parts: Parts) -> Iterator[Problem]:
    """On this machine `engine` is `postgresql`: no server of another kind is run here."""
    if parts.substrate is None or not isinstance(parts.substrate.value, LocalSubstrate):
        return
    for source in parts.sources:
        if source.value.engine != "postgresql":
            yield source.problem(
                "engine",
                given=repr(source.value.engine),
                allowed="`postgresql`: substrate.kind is `local`, and 0 servers of another kind run on this"
                " machine; with substrate.kind `aws` a server that is there is captured",
            )


def role_name_too_long(parts: Parts) -> Iterator[Problem]:
    """The role's name, `headrace_<environment>_<source>`, fits the engine; a slot has the same name."""
    for source in parts.sources:
        role, facts = names.role(parts.environment, source.value.name), ENGINES[source.value.engine]
        what = "user" if facts.has_binlog else "replication slot"
        if len(role) > facts.role_max_chars:
            yield source.problem(
                "name",
                given=f"{source.value.name!r}, whose {what} {role!r} has {len(role)} characters",
                allowed=f"a {what} name of at most {facts.role_max_chars} characters",
            )


def server_id_without_a_binlog(parts: Parts) -> Iterator[Problem]:
    """`server_id` is of an engine with a binlog: a replication slot has none."""
    for source in parts.sources:
        if source.value.server_id is not None and not ENGINES[source.value.engine].has_binlog:
            yield source.problem(
                "server_id",
                given=str(source.value.server_id),
                allowed=f"left out: engine is `{source.value.engine}`, which knows its readers by slots",
            )


def server_id_twice(parts: Parts) -> Iterator[Problem]:
    """Each source with a binlog has a `server_id` of its own: a server throws out the first of two."""
    first: dict[int, str] = {}
    for source in parts.sources:
        if ENGINES[source.value.engine].has_binlog:
            here = source.value.server_id or names.server_id(parts.environment, source.value.name)
            if (other := first.setdefault(here, source.value.name)) != source.value.name:
                yield source.problem(
                    "server_id", given=f"{here}, which source {other} has", allowed="each source another"
                )


def table_of_another_database(parts: Parts) -> Iterator[Problem]:
    """Where tables are named `database.table`, theirs is the source's `database`."""
    for source in parts.sources:
        for at, table in enumerate(source.value.tables):
            of = table.name.split(".", 1)[0]
            if ENGINES[source.value.engine].has_binlog and of != source.value.database:
                yield source.problem(
                    "tables",
                    at,
                    "name",
                    given=repr(table.name),
                    allowed=f"a table of the source's database, `{source.value.database}.table`: engine is"
                    f" `{source.value.engine}`",
                )


def backfill_of_a_binlog(parts: Parts) -> Iterator[Problem]:
    """`backfills` are PostgreSQL's alone yet: what follows their progress is in its connector."""
    for source in parts.sources:
        if source.value.backfills and ENGINES[source.value.engine].has_binlog:
            yield source.problem(
                "backfills",
                given=f"{len(source.value.backfills)} of them",
                allowed=f"left out: engine is `{source.value.engine}`, whose connector is told of none yet",
            )


RULES: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    engine_that_does_not_run_here,
    role_name_too_long,
    server_id_without_a_binlog,
    server_id_twice,
    table_of_another_database,
    backfill_of_a_binlog,
)
