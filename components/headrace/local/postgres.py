"""The source databases' server on this machine."""

from __future__ import annotations

import os

import pulumi

from headrace.local.context import LocalContext, process
from headrace.local.provider.process import Preparation, ProcessInputs, Readiness
from headrace.local.secrets import SUPERUSER_PASSWORD

NAME = "postgres"

# PostgreSQL refuses to run as root. In a user namespace of its own it is not root, and still owns its files.
# It looks its user's name up: 1 has one on every Linux.
UNPRIVILEGED = ("unshare", "--user", "--map-user=1", "--map-group=1")


# The pid file of a server that is gone keeps a new one from starting if the pid is another process's by
# now, as after a reboot. $0 is the data folder, $@ the server's command.
START = (
    'pid=$(head -n1 "$0/postmaster.pid" 2>/dev/null)'
    ' && ! grep -qszFx "HEADRACE_STACK=$HEADRACE_STACK" "/proc/$pid/environ"'
    ' && rm -f "$0/postmaster.pid"; exec "$@"'
)


class PostgresServer(pulumi.ComponentResource):
    """PostgreSQL with logical decoding, data kept under the stack's folder."""

    def __init__(self, context: LocalContext, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:local:PostgresServer", NAME, None, opts)
        files, port = context.files, context.plan.ports.postgres
        prefix = UNPRIVILEGED if os.geteuid() == 0 else ()
        binaries = context.runtimes.postgres / "bin"
        password = files.secret(SUPERUSER_PASSWORD)
        data = files.data(NAME)
        initdb = (
            str(binaries / "initdb"),
            "--pgdata={partial}",
            "--username=postgres",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
        )
        config = files.etc(NAME) / "postgresql.conf"
        server = (str(binaries / "postgres"), "-D", str(data), f"--config-file={config}")
        settings = context.plan.database_server.settings | {
            "hba_file": str(data / "pg_hba.conf"),
            "ident_file": str(data / "pg_ident.conf"),
        }
        self.process = process(
            ProcessInputs(
                root=context.root,
                name=NAME,
                command=(*prefix, "sh", "-c", START, str(data), *server),
                files={"postgresql.conf": "".join(f"{k} = '{v}'\n" for k, v in sorted(settings.items()))},
                secrets=(str(password),),
                preparation=(Preparation(creates=str(data), command=(*prefix, *initdb)),),
                ports={"PostgreSQL": port},
                ready=Readiness(port=port),
                stop_signal="INT",  # fast shutdown: clients are disconnected, everything is written
                stop_wait_s=40,
            ),
            parent=self,
        )
        self.register_outputs({"port": port})
