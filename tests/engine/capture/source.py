"""A source that is ready to be captured, in a database of its own; tests spoil it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from psycopg.pq import ExecStatus

from headrace.capture.finding import Finding, Report
from headrace.capture.mending import mend
from headrace.capture.preflight import Access, preflight
from headrace.environment import parse_environment
from headrace.plan import plan
from tests.engine.capture.server import PASSWORD, Server

GIB = 1 << 30
READY = """
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, note text);
CREATE TABLE parts (id bigint PRIMARY KEY, note text);
ALTER TABLE orders REPLICA IDENTITY FULL;
GRANT SELECT ON orders, parts TO {role};
CREATE PUBLICATION {role} FOR TABLE orders, parts;
"""
TABLES = [
    {
        "name": "public.orders",
        "columns": {"id": "bigint", "customer_id": "bigint", "note": "text"},
        "primary_key": ["id"],
        "key": ["customer_id"],
    },
    {"name": "public.parts", "primary_key": ["id"]},
]


def declaration(name: str, **substrate: Any) -> dict[str, Any]:
    """Of a local stack with one source."""
    return {
        "owner": "tests",
        "cost_centre": "tests",
        "substrate": {"kind": "local", **substrate},
        "sources": [{"name": name, "engine": "postgresql", "database": f"db_{name}", "tables": TABLES}],
        "recovery": {"max_replay": "10s", "max_outage": "10m"},
        "agents": [
            {
                "name": "reader",
                "entry_point": "reader:Reader",
                "inputs": [f"{name}.public.orders"],
                "key": ["customer_id"],
                "workload": {"events_per_second": 1, "keys": 1, "state_bytes_per_key": 1},
                "scaling": {"parallelism_min": 1, "parallelism_max": 1},
            }
        ],
    }


class Source:
    """`plan` is what is declared of it, `server` where it is."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        # With the plan's own configuration of the connector.
        self.plan = plan(parse_environment(declaration(name), "a test", "local")).sources[0]
        self.role = self.plan.slot
        self.disk_free_bytes: int | None = 100 * GIB
        self.long_transaction = timedelta(minutes=5)
        self.offset: dict[str, Any] | None = None
        self.declared: tuple[str, ...] = ()
        with server.connect() as connection:
            connection.execute(f"CREATE DATABASE {self.plan.database}")
            connection.execute(f"CREATE ROLE {self.role} LOGIN REPLICATION PASSWORD '{PASSWORD}'")
        self.run(READY.format(role=self.role))

    @property
    def access(self) -> Access:
        parameters = self.server.parameters(self.plan.database, self.role)
        return Access(parameters, self.disk_free_bytes, self.long_transaction, lambda: self.offset)

    @property
    def administrator(self) -> Access:
        return Access(self.server.parameters(self.plan.database))

    def configure(self, **config: str) -> None:
        """Tell the connector something else; ``_`` for ``.``."""
        changed = {key.replace("_", "."): value for key, value in config.items()}
        self.plan = self.plan.model_copy(update={"connector_config": self.plan.connector_config | changed})

    def run(self, *statements: str) -> None:
        """As the superuser, in the source's database."""
        with self.server.connect(self.plan.database) as connection:
            for statement in statements:
                connection.execute(statement.format(role=self.role))

    def value(self, query: str) -> Any:
        with self.server.connect(self.plan.database) as connection:
            row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]

    def report(self) -> Report:
        return preflight(self.plan, self.access, self.declared)

    def found(self, check: str) -> list[Finding]:
        return [finding for finding in self.report().findings if finding.check == check]

    def mend(self, findings: Sequence[Finding]) -> None:
        """Run the advice's own statements, the safe ones and the others."""
        mend(self.administrator, [statement for finding in findings for statement in finding.mend.sql])

    def make_slot(self, plugin: str = "pgoutput") -> None:
        """With what a connector stores that has read its first snapshot, in `offset`."""
        self.run(f"SELECT pg_create_logical_replication_slot('{self.plan.slot}', '{plugin}')")
        self.offset = {"lsn": self.confirmed()}

    def confirmed(self) -> int:
        """The slot's position."""
        return int(
            self.value(
                "SELECT confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots"
                f" WHERE slot_name = '{self.plan.slot}'"
            )
        )

    @contextmanager
    def streaming(self, role: str, slot: str = "") -> Iterator[None]:
        """`role` reads the slot, as a connector does; or another slot of pgoutput."""
        access = Access(self.server.parameters(self.plan.database, role))
        command = (
            f"START_REPLICATION SLOT {slot or self.plan.slot} LOGICAL 0/0"
            f" (proto_version '1', publication_names '{self.plan.publication}')"
        )
        with access.open(replication="database") as connection:
            assert connection.pgconn.exec_(command.encode()).status == ExecStatus.COPY_BOTH
            yield
            # Libpq's way to leave COPY BOTH: psycopg would ask the server to roll back, which it can't.
            connection.pgconn.finish()

    def remove(self) -> None:
        with self.server.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active"
            )
            connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
            connection.execute(f"DROP DATABASE {self.plan.database} WITH (FORCE)")
            connection.execute(f"DROP ROLE {self.role}")
