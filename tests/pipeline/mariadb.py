"""A MariaDB server, a broker and Kafka Connect for one source, of a test's own and on loopback alone."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Consumer, TopicPartition

from headrace.environment import Environment
from headrace.local.java import java_command, properties
from headrace.local.ports import refuse_taken_ports
from headrace.local.provider.topic import TopicInputs, TopicKind
from headrace.operations.preflight import named_ports
from headrace.plan import StackPlan
from headrace.plan.connectors import sources
from headrace.plan.model import BinlogSourcePlan
from headrace.plan.place import local_place
from headrace.plan.topics import topics
from headrace.toolchain import Runtimes, mariadb_for_tests
from headrace.waiting import wait_until
from tests.standins.servers import answers, free_port, running

PASSWORD = "only in this test"
START_S = 90
RIGHTS = "SELECT, RELOAD, SHOW DATABASES, LOCK TABLES, REPLICATION SLAVE, REPLICATION CLIENT"
"""What `headrace preflight` says that the user needs."""


@dataclass(frozen=True)
class MariaDb:
    port: int

    def run(self, sql: str) -> str:
        """As an administrator; what the client prints."""
        done = subprocess.run(
            [
                mariadb_for_tests.client(), "--no-defaults", "--host=127.0.0.1", f"--port={self.port}",
                "--user=tester", "--batch", "--skip-column-names", "--default-character-set=utf8mb4",
            ],
            input=sql, capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, **mariadb_for_tests.environment(), "MYSQL_PWD": PASSWORD},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def mariadb(folder: Path) -> Iterator[MariaDb]:
    """A server with a binlog of whole rows, until the block ends."""
    data, port, share = folder / "data", free_port(), mariadb_for_tests.share()
    data.mkdir(parents=True)
    server = [str(mariadb_for_tests.server()), "--no-defaults", f"--datadir={data}"]
    server += [f"--lc-messages-dir={share}", *(["--user=root"] if os.geteuid() == 0 else [])]
    made = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
    own_tables = "".join((share / name).read_text(encoding="utf-8") for name in made)
    subprocess.run(
        [*server, "--bootstrap"],
        input=f"CREATE DATABASE mysql;\nUSE mysql;\n{own_tables}",
        capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, **mariadb_for_tests.environment()},
    )  # fmt: skip
    first = folder / "first.sql"
    first.write_text(
        f"CREATE USER tester@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
        "GRANT ALL ON *.* TO tester@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    first.chmod(0o600)
    command = [
        *server, f"--init-file={first}", f"--socket={folder / 's'}", f"--pid-file={folder / 'pid'}",
        "--bind-address=127.0.0.1", f"--port={port}", "--server-id=1", "--log-bin=binlog",
        "--binlog-format=ROW", "--binlog-row-image=FULL", "--innodb-buffer-pool-size=16M",
    ]  # fmt: skip
    log = folder / "mariadb.log"
    with running(command, log, environment=mariadb_for_tests.environment()):
        wait_until("MariaDB", lambda: "ready for connections" in log.read_text(errors="replace"), START_S)
        yield MariaDb(port)


@dataclass(frozen=True)
class Captured:
    """A source of MariaDB, its topics, and Kafka Connect, which can be killed and started again."""

    source: BinlogSourcePlan
    servers: str
    connect_url: str
    _worker: list[str]
    _log: Path

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """Its process, once it answers."""
        with running(self._worker, self._log, grace_s=30) as process:
            wait_until("Kafka Connect", lambda: answers(f"{self.connect_url}/connectors"), START_S)
            yield process

    def declare(self, password: Path) -> None:
        """Make the connector, with a reference to the password."""
        told = self.source.connector_config | {"database.password": f"${{file:{password}:password}}"}
        url = f"{self.connect_url}/connectors/{self.source.connector}/config"
        answer = httpx.put(url, json=told, timeout=60, trust_env=False)
        assert answer.is_success, answer.text

    def runs(self) -> bool:
        url = f"{self.connect_url}/connectors/{self.source.connector}/status"
        answer = httpx.get(url, timeout=10, trust_env=False)
        tasks = answer.json()["tasks"] if answer.is_success else []
        assert not [task for task in tasks if task["state"] == "FAILED"], tasks
        return [task["state"] for task in tasks] == ["RUNNING"]

    def records(self, topic: str) -> list[tuple[bytes, bytes]]:
        """Keys and values that are committed, partition by partition in order."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": "reads",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        found: list[tuple[bytes, bytes]] = []
        try:
            partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            consumer.assign([TopicPartition(topic, each, 0) for each in partitions])
            ended: set[int] = set()
            while ended != set(partitions):
                message = consumer.poll(30)
                assert message is not None
                key, value, partition = message.key(), message.value(), message.partition()
                assert partition is not None
                if message.error():
                    ended.add(partition)
                else:
                    assert key is not None
                    assert value is not None
                    found.append((key, value))
        finally:
            consumer.close()
        return found

    def changes(self, table: str) -> list[dict[str, Any]]:
        """A table's envelopes."""
        topic = next(each.topic for each in self.source.tables if each.name == table)
        return [json.loads(value) for _, value in self.records(topic)]


@contextmanager
def captured(
    environment: Environment, settings: StackPlan, database: MariaDb, secrets: Path, folder: Path
) -> Iterator[Captured]:
    """A broker with the source's topics; what the stack on this machine has for its own, but for folders.

    Args:
        environment: whose only source is captured.
        settings: of broker and worker.
        database: where the source is.
        secrets: the folder of files that the worker may read.
        folder: for data and logs.
    """
    place = replace(
        local_place(settings.ports),
        database={
            "mariadb": {
                "database.hostname": ("127.0.0.1", "the test's own server"),
                "database.port": (database.port, "its port"),
                "database.ssl.mode": ("disable", "loopback"),
            }
        },
    )
    # Another stack's broker at these ports would be taken for the test's own.
    refuse_taken_ports(dict(named_ports(settings.ports)), folder)
    (source,) = sources(environment, place).value
    assert isinstance(source, BinlogSourcePlan)
    runtimes = Runtimes.locate()
    classpath = f"{runtimes.kafka}/*"
    folder.mkdir(parents=True)
    broker, worker = folder / "server.properties", folder / "worker.properties"
    broker.write_text(properties(settings.kafka.settings | {"log.dirs": str(folder / "kafka")}))
    worker.write_text(
        properties(
            settings.connect.settings
            | {
                "plugin.path": str(runtimes.other_plugins),
                "config.providers.file.param.allowed.paths": str(secrets),
            }
        )
    )
    storage = ("format", "--cluster-id=AAAAAAAAAAAAAAAAAAAAAA", "--config", str(broker))
    subprocess.run(
        java_command("kafka.tools.StorageTool", classpath, 128, storage),
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    servers = place.brokers.value
    with ExitStack() as stack:
        command = java_command("kafka.Kafka", classpath, settings.kafka.heap_mib, (str(broker),))
        stack.enter_context(running(list(command), folder / "kafka.log", grace_s=40))
        for topic in topics(environment, place).value:
            if topic.name.startswith((f"{source.name}.", "__debezium")):
                TopicKind().create(TopicInputs(bootstrap_servers=servers, **topic.model_dump()))
        yield Captured(
            source=source,
            servers=servers,
            connect_url=f"http://127.0.0.1:{settings.ports.connect}",
            _worker=list(
                java_command(
                    "org.apache.kafka.connect.cli.ConnectDistributed",
                    classpath,
                    settings.connect.heap_mib,
                    (str(worker),),
                )
            ),
            _log=folder / "connect.log",
        )
