"""The databases that a stack captures: how commands get there, what is found, and what is mended."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from headrace.capture.by_engine import not_looked_at, refuse_other_engine
from headrace.capture.finding import Report
from headrace.capture.mending import mend
from headrace.capture.preflight import Access, preflight
from headrace.errors import HeadraceError
from headrace.local import source_access
from headrace.local.context import HOST
from headrace.local.stored_offsets import StoredOffsets
from headrace.operations.stack import Stack
from headrace.plan.model import BinlogSourcePlan, PostgresqlSourcePlan

SERVERS = ("PGHOST", "PGHOSTADDR", "PGSERVICE")
"""Variables by which libpq finds a server."""


@dataclass(frozen=True)
class Ways:
    """What a person says of the way to a server that is not the stack's own; passwords are libpq's matter."""

    service: str | None = None
    """Of libpq's service file, for the role that captures; None: libpq's environment."""
    administrator: str | None = None
    """The same, for a role that may mend."""
    disk_free_bytes: int | None = None


def chosen(stack: Stack, names: Sequence[str]) -> tuple[PostgresqlSourcePlan, ...]:
    """The sources of these names; without names, all whose server can be asked.

    Raises:
        HeadraceError: one of them is not declared, or is of an engine that can't be asked.
    """
    sources = {source.name: source for source in stack.any_plan.sources}
    if unknown := [name for name in names if name not in sources]:
        raise HeadraceError(f"source: given {', '.join(unknown)}; allowed: {', '.join(sources)}")
    for name in names:
        refuse_other_engine(sources[name])
    of_postgresql = {n: each for n, each in sources.items() if isinstance(each, PostgresqlSourcePlan)}
    return tuple(of_postgresql[name] for name in names or of_postgresql)


def unseen(stack: Stack) -> list[Report]:
    """Of the sources that can't be looked at, what a person has to look at."""
    return [not_looked_at(each) for each in stack.any_plan.sources if isinstance(each, BinlogSourcePlan)]


def look(stack: Stack, sources: Sequence[PostgresqlSourcePlan], ways: Ways) -> Iterator[Report]:
    """What is found at each source, as the role that captures it.

    Raises:
        HeadraceError: how to get there was not said.
    """
    for source in sources:
        access = _capturing_role(stack, source, ways)
        if ways.disk_free_bytes is not None:
            access = replace(access, disk_free_bytes=ways.disk_free_bytes)
        yield preflight(source, access, [each.slot for each in chosen(stack, ())])


def mend_safely(
    stack: Stack, sources: Sequence[PostgresqlSourcePlan], ways: Ways, reports: Sequence[Report]
) -> None:
    """Run the statements that may be run at any time, as an administrator, source by source.

    Raises:
        HeadraceError: how to get there was not said, or a statement failed.
    """
    for source, report in zip(sources, reports, strict=True):
        if report.safe_sql:
            mend(_administrator(stack, source, ways), report.safe_sql)


def _capturing_role(stack: Stack, source: PostgresqlSourcePlan, ways: Ways) -> Access:
    if stack.on_aws:
        return _by_libpq(source, ways.service, user=source.slot)
    if ways.service:
        raise HeadraceError(
            f"--service: given {ways.service}; allowed: none, as {stack.name} has its own server"
        )
    try:
        return source_access.capturing_role(
            stack.files, stack.plan.ports.postgres, source, stored_offsets(stack)
        )
    except FileNotFoundError as missing:
        raise _not_made(stack, missing) from None


def stored_offsets(stack: Stack) -> StoredOffsets:
    """Where a local stack's Kafka Connect stores them."""
    servers = f"{HOST}:{stack.plan.ports.kafka}"
    return StoredOffsets(servers, stack.plan.connect.settings["offset.storage.topic"])


def _administrator(stack: Stack, source: PostgresqlSourcePlan, ways: Ways) -> Access:
    if stack.on_aws:
        if ways.administrator is None:
            raise HeadraceError(
                "--admin-service: given none; allowed: a service of libpq's service file whose role may run"
                " these statements"
            )
        return _by_libpq(source, ways.administrator)
    try:
        return source_access.administrator(stack.files, stack.plan.ports.postgres, source.database)
    except FileNotFoundError as missing:
        raise _not_made(stack, missing) from None


def _by_libpq(source: PostgresqlSourcePlan, service: str | None, user: str | None = None) -> Access:
    """Database and role are the declared ones, everything else is what libpq finds."""
    if not service and not any(os.environ.get(name) for name in SERVERS):
        raise HeadraceError(
            f"source {source.name}: given no server; allowed: --service with a name of libpq's service file,"
            f" or one of {', '.join(SERVERS)}. The password is libpq's matter: PGPASSFILE"
        )
    parameters = {"dbname": source.database, "user": user, "service": service}
    if not service and "PGSSLMODE" not in os.environ:
        parameters["sslmode"] = source.connector_config.get("database.sslmode")
    return Access({name: value for name, value in parameters.items() if value})


def _not_made(stack: Stack, missing: FileNotFoundError) -> HeadraceError:
    return HeadraceError(
        f"{missing.filename} is not there: `headrace up --stack {stack.name}` makes the local database first"
    )
