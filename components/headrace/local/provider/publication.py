"""A source's publication: exactly the declared tables, with every operation that the connector wants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import psycopg
from psycopg import sql

from headrace.capture.catalogue import Publication, publication, relations, rows_of
from headrace.capture.look import Connection
from headrace.capture.mending import mend
from headrace.capture.preflight import Access
from headrace.capture.publishing import OPERATIONS, creation
from headrace.capture.statements import name, names, statement
from headrace.errors import HeadraceError
from headrace.local.files import StackFiles
from headrace.local.provider.database import wait_for_server
from headrace.local.removal import way_out
from headrace.local.source_access import administrator
from headrace.provider.positions import are_kept
from headrace.provider.resource import Inputs, JsonObject, Kind


class PublicationInputs(Inputs):
    root: str
    port: int
    database: str
    publication: str
    role: str
    """The source's: what a connector made by itself is its own, and ours."""
    tables: tuple[str, ...]
    operations: tuple[str, ...]
    """Of ``insert``, ``update``, ``delete``, ``truncate``."""


class PublicationKind(Kind[PublicationInputs]):
    """Made by the server's administrator, who owns the tables: the capturing role may read them and no more.

    It is altered in place, so the slot and its position stay what they are.
    """

    token = "headrace-local:index:Publication"
    inputs = PublicationInputs
    replace_on = frozenset({"database", "publication"})
    settled: ClassVar = {"status": "present"}
    unobserved = frozenset({"root", "port"})

    def identify(self, inputs: PublicationInputs) -> str:
        return f"{inputs.database}/{inputs.publication}"

    def create(self, inputs: PublicationInputs) -> JsonObject:
        wait_for_server(inputs.port)
        access = _administrator(inputs)
        with access.open() as connection:
            found = _found(connection, inputs)
            if found and (others := _somebody_elses(found, inputs, connection)):
                raise HeadraceError(
                    f"publication {inputs.publication} of database {inputs.database} is {others}: it was not"
                    " made by this stack, and was left as it is. Ask whose it is; then drop or rename it, and"
                    " run the command again"
                )
            missing = list(_missing(found, inputs, connection))
        mend(access, missing)
        return {"status": "present"}

    def read(self, inputs: PublicationInputs) -> JsonObject | None:
        try:
            with _administrator(inputs).open() as connection:
                found = _found(connection, inputs)
                if found is None:
                    return None
                return {"status": "different" if any(_missing(found, inputs, connection)) else "present"}
        except FileNotFoundError:  # the administrator's password: nothing was made yet
            return None
        except psycopg.OperationalError:
            return {"status": "unreachable"}

    def delete(self, inputs: PublicationInputs) -> None:
        """Kept by `headrace down`, with the slot. One that somebody else made meanwhile is left alone."""
        if are_kept():
            return
        try:
            with _administrator(inputs).open() as connection:
                found = _found(connection, inputs)
                if found and not _somebody_elses(found, inputs, connection):
                    connection.execute(statement("DROP PUBLICATION {}", name(inputs.publication)))
        except psycopg.errors.InvalidCatalogName:  # its database is gone, and so is it
            return
        except psycopg.OperationalError as error:
            raise way_out(f"publication {inputs.publication}", error) from None


def _administrator(inputs: PublicationInputs) -> Access:
    return administrator(StackFiles(Path(inputs.root)), inputs.port, inputs.database)


def _found(connection: Connection, inputs: PublicationInputs) -> Publication | None:
    return publication(rows_of(connection), inputs.publication, connection.info.server_version)


def _somebody_elses(found: Publication, inputs: PublicationInputs, connection: Connection) -> str:
    """What shows that this stack did not make it; empty where nothing does."""
    if found.owner not in {connection.info.user, inputs.role}:
        return f"owned by role {found.owner}"
    if found.all_tables:
        return "for all tables"
    return f"for all tables of schema {', '.join(found.schemas)}" if found.schemas else ""


def _missing(found: Publication | None, inputs: PublicationInputs, connection: Connection) -> Iterator[str]:
    """Statements that bring it to what is declared."""
    there = relations(rows_of(connection), list(inputs.tables))
    via_root = any(relation.partitioned for relation in there.values())
    if found is None:
        yield creation(inputs.publication, inputs.tables, inputs.operations, via_root=via_root)
        return
    publication_name = name(inputs.publication)
    if found.tables != set(inputs.tables) or found.filtered or found.schemas:
        yield statement("ALTER PUBLICATION {} SET TABLE {}", publication_name, names(inputs.tables))
    if found.operations != set(inputs.operations):
        operations = ", ".join(each for each in OPERATIONS if each in inputs.operations)
        yield statement("ALTER PUBLICATION {} SET (publish = {})", publication_name, sql.Literal(operations))
    if via_root and not found.via_root:
        yield statement("ALTER PUBLICATION {} SET (publish_via_partition_root = true)", publication_name)
