"""The Debezium connector of MySQL and of MariaDB: what its configuration has beside every connector's.

It joins the server's replicas and reads the binlog, whose rows carry no names of columns: it keeps how the
tables looked, by place in the binlog, in a topic of its own.
"""

from __future__ import annotations

from headrace.environment import names
from headrace.environment.engines import ENGINES, Engine
from headrace.environment.model import Environment, Source
from headrace.plan.because import Because, because, settings
from headrace.plan.place import Place

CONNECTORS: dict[Engine, str] = {
    "mysql": "dev.headrace.debezium.MySqlConnector",
    "mariadb": "dev.headrace.debezium.MariaDbConnector",
}
"""Over Debezium's: `headrace.toolchain.debezium_connector`."""
HISTORY = "schema.history.internal."
HISTORY_SERVERS = f"{HISTORY}kafka.bootstrap.servers"
KEEP_ALIVE_MS = 10_000
HISTORY_POLL_MS, HISTORY_POLLS = 100, 300


def server_id(environment: Environment, source: Source) -> Because[int]:
    """By which the server knows the connector."""
    if source.server_id is not None:
        return because(source.server_id, "declared")
    return because(
        names.server_id(environment.name, source.name),
        f"0 are declared: 1 of 2^31, by environment {environment.name} and source {source.name}, so that"
        " it stays and 2 of a server hardly meet",
    )


def where(environment: Environment, source: Source) -> Because[dict[str, str]]:
    """As whom the server knows the connector, and what it reads there."""
    own = server_id(environment, source)
    return settings(
        {
            "database.server.id": (own.value, own.reasons[""]),
            "database.include.list": (source.database, "declared; 0 rows of others are read"),
            "connect.keep.alive.interval.ms": (
                KEEP_ALIVE_MS,
                f"{KEEP_ALIVE_MS} ms until a connection that died is noticed; the default is 60000",
            ),
        }
    )


def rows() -> Because[dict[str, str]]:
    """How tables are read first, and what of their values no other engine has."""
    return settings(
        {
            "snapshot.locking.mode": (
                "minimal",
                (
                    "writers wait while tables' definitions are read, and where the server forbids 1 lock of "
                    "all, as Amazon's do, while their rows are"
                ),
            ),
            "include.schema.changes": (False, "0 agents read them; the connector's own history has them"),
            "bigint.unsigned.handling.mode": (
                "long",
                "a number in JSON, exact below 2^63; the other mode writes bytes",
            ),
            "inconsistent.schema.handling.mode": (
                "fail",
                "a table that its history does not know stops the task: the other modes skip its changes",
            ),
        }
    )


def history(environment: Environment, source: Source, place: Place) -> Because[dict[str, str]]:
    """Where the connector keeps how tables looked, and how it reaches it: beside Connect's own clients."""
    group = names.schema_history_group(environment.name, source.name)
    client = place.flink_client
    return settings(
        {
            f"{HISTORY}kafka.topic": (
                names.schema_history_topic(source.name),
                "the source's own: 2 connectors would read each other's tables",
            ),
            HISTORY_SERVERS: (place.brokers.value, place.brokers.reasons[""]),
            f"{HISTORY}consumer.group.id": (group, "a name that rights can be given to: 1 for the source"),
            f"{HISTORY}kafka.recovery.poll.interval.ms": (
                HISTORY_POLL_MS,
                f"{HISTORY_POLL_MS} ms, as by default",
            ),
            f"{HISTORY}kafka.recovery.attempts": (
                HISTORY_POLLS,
                (
                    f"{HISTORY_POLLS} x {HISTORY_POLL_MS} ms without a record, longer than a killed reader "
                    "holds the group, 10000 ms: the default ends with it"
                ),
            ),
            f"{HISTORY}store.only.captured.databases.ddl": (
                True,
                "1 database is read: a start goes through 0 definitions of others",
            ),
            f"{HISTORY}store.only.captured.tables.ddl": (
                False,
                "a table that is declared later is known from then: without, its first change fails the task",
            ),
            **{
                f"{HISTORY}{of}.{name}": (value, client.reasons.get(name, client.reasons.get("", "")))
                for of in ("producer", "consumer")
                for name, value in client.value.items()
            },
        }
    )


def said_of(engine: Engine) -> str:
    """What stands between source and table in the names of topics."""
    return "database" if ENGINES[engine].has_binlog else "schema"
