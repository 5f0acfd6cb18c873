"""Who gets to the local source databases, and with which of the stack's secrets."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from headrace.capture.preflight import Access
from headrace.local.files import StackFiles
from headrace.local.secrets import SUPERUSER_PASSWORD, read_property
from headrace.local.stored_offsets import StoredOffsets
from headrace.plan.model import PostgresqlSourcePlan
from headrace.plan.ports import LOOPBACK


def password_file(files: StackFiles, source: str) -> Path:
    """Properties file with the password of the source's own role."""
    return files.secret(f"{source}.properties")


def complete_config(files: StackFiles, source: PostgresqlSourcePlan) -> dict[str, str]:
    """The connector's, with a reference to its password."""
    return source.connector_config | {
        # The worker's FileConfigProvider reads it; Connect's topics and interface show the reference.
        "database.password": f"${{file:{password_file(files, source.name)}:password}}",
    }


def capturing_role(
    files: StackFiles, port: int, source: PostgresqlSourcePlan, stored: StoredOffsets
) -> Access:
    """As the connector gets there. The server's disk is the one that the stack's folder is on.

    Raises:
        FileNotFoundError: the role was not made yet.
    """
    access = role_access(port, source.database, source.slot, password_file(files, source.name))
    return replace(
        access,
        disk_free_bytes=shutil.disk_usage(files.root).free,
        offset=lambda: stored.of(source.connector, source.name),
    )


def role_access(port: int, database: str, role: str, password: Path) -> Access:
    """A role with its password in a properties file.

    Raises:
        FileNotFoundError: the role was not made yet.
    """
    return Access(
        {
            "host": LOOPBACK,
            "port": port,
            "dbname": database,
            "user": role,
            "password": read_property(password, "password"),
        }
    )


def administrator(files: StackFiles, port: int, database: str) -> Access:
    """The server's superuser.

    Raises:
        FileNotFoundError: the server was not made yet.
    """
    password = files.secret(SUPERUSER_PASSWORD).read_text()
    return Access(
        {"host": LOOPBACK, "port": port, "dbname": database, "user": "postgres", "password": password}
    )
