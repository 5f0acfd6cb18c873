"""A PostgreSQL server of a test: small, quick to start again, ended by its own process id."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg
from psycopg.pq import PGconn, Ping

from headrace.local.postgres import UNPRIVILEGED
from headrace.waiting import wait_until
from tests.engine.project import free_port

STARTED_S = 30
PASSWORD = "only in this test"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_replication_slots": "4",
    "max_wal_senders": "4",
    "max_slot_wal_keep_size": "1GB",
    "max_prepared_transactions": "2",
    "shared_buffers": "16MB",
    "min_wal_size": "4MB",
    "max_wal_size": "64MB",
    "autovacuum": "off",
    "fsync": "off",
    "restore_command": "false",
}


def _unprivileged() -> tuple[str, ...]:
    return UNPRIVILEGED if os.geteuid() == 0 else ()


class Server:
    """Superuser ``postgres``; every role logs in with a password on loopback."""

    def __init__(self, binaries: Path, data: Path) -> None:
        self._binaries, self._data = binaries, data
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def initialize(self) -> None:
        password = self._data.with_suffix(".password")
        password.write_text(PASSWORD)
        subprocess.run(
            [
                *_unprivileged(), self._binaries / "bin" / "initdb", f"--pgdata={self._data}",
                "--username=postgres", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8",
                "--no-locale", "--no-sync", "--wal-segsize=1",
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())

    def encrypt(self) -> None:
        """Take connections over TLS, too, with a certificate that nobody else vouches for."""
        key, certificate = self._data / "server.key", self._data / "server.crt"
        subprocess.run(
            [
                *_unprivileged(), "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                "-subj", "/CN=localhost", "-keyout", key, "-out", certificate,
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as file:
            file.write("ssl = on\n")

    def start(self) -> None:
        with self._data.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *_unprivileged(), self._binaries / "bin" / "postgres", "-D", self._data, "-p",
                    str(self.port),
                ],
                stdout=log,
                stderr=log,
            )  # fmt: skip
        address = f"host=127.0.0.1 port={self.port}".encode()
        wait_until("PostgreSQL", lambda: self._runs() and PGconn.ping(address) == Ping.OK, STARTED_S)

    def _runs(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._data.with_suffix(".log").read_text()
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(STARTED_S)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def standby(self) -> Server:
        """A server on a copy of this one's data, which replays and never ends to; not started."""
        copy = Server(self._binaries, self._data.with_name(f"{self._data.name}-standby"))
        self.stop()
        shutil.copytree(self._data, copy._data)
        self.start()
        (copy._data / "standby.signal").touch()
        return copy

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._data)

    def parameters(self, database: str, role: str = "postgres") -> dict[str, Any]:
        """Of a connection, as libpq's keywords."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "dbname": database,
            "user": role,
            "password": PASSWORD,
        }

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(autocommit=True, **self.parameters(database))
