"""Kinds of source databases, and what differs between them before anything is planned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Engine = Literal["postgresql", "mysql", "mariadb"]


class Facts(NamedTuple):
    title: str
    port: int
    """The server's own."""
    role_max_chars: int
    """Of a user's name."""
    has_binlog: bool
    """Whether its changes are read from a binlog, as a replica does; else from a replication slot."""


ENGINES: Mapping[Engine, Facts] = {
    "postgresql": Facts("PostgreSQL", 5432, 63, has_binlog=False),
    "mysql": Facts("MySQL", 3306, 32, has_binlog=True),
    "mariadb": Facts("MariaDB", 3306, 80, has_binlog=True),
}
"""Lengths of names: PostgreSQL cuts identifiers at 63 bytes (``NAMEDATALEN - 1``); MySQL's and MariaDB's
reference manuals, on user names."""
SERVER_ID_MAX = 2**32 - 1
"""Of a server in a MySQL or MariaDB replication topology, which its replicas are in: 4 bytes, not 0."""
