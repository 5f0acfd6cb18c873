"""The supervisor of one stack: `supervisord` on a Unix socket, one program file per process.

The calls and their faults: http://supervisord.org/api.html
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from headrace.errors import HeadraceError
from headrace.local.files import StackFiles
from headrace.local.processes import STACK_MARKER, end, marked
from headrace.waiting import wait_until

START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 60

# Where the supervisor's parser ends a value, quoted or not.
CUT_AT = (" ;", " #", "\n")

# Where boto3's chain finds credentials for models on Bedrock, beside files below HOME.
AWS_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
)
# The supervisor inherits nothing of the shell that happened to start the stack but these.
INHERITED = (
    *("PATH", "HOME", "LANG", "LC_ALL", "JAVA_HOME", "TMPDIR", "SSL_CERT_FILE", "XDG_RUNTIME_DIR"),
    *AWS_CREDENTIALS,
)


@dataclass(frozen=True)
class Program:
    """One supervised process. `stop_signal` is a name (``TERM``), `stop_wait_s` the patience before KILL.

    One that is `standby` is known to the supervisor and does not run until it is asked for. Credentials for
    AWS in the environment of whoever starts the stack are kept from one that does not call models.
    """

    name: str
    command: Sequence[str]
    directory: str
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_wait_s: int = 20
    standby: bool = False
    calls_models: bool = False

    def ini(self, files: StackFiles) -> str:
        """The program's section of the supervisor's configuration."""
        environment = ",".join(f'{key}="{value}"' for key, value in sorted(self.environment.items()))
        kept_from = () if self.calls_models else ("env", *(f"--unset={name}" for name in AWS_CREDENTIALS))
        lines = {
            "command": shlex.join((*kept_from, *self.command)),
            "directory": self.directory,
            "environment": environment,
            "autostart": "false" if self.standby else "true",
            "autorestart": "true",
            "startsecs": "1",
            # The supervisor waits one second more after each failure: a hundred of them outlast any repair.
            "startretries": "100",
            "stopsignal": self.stop_signal,
            "stopwaitsecs": str(self.stop_wait_s),
            "stopasgroup": "true",
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": str(files.log(self.name)),
            "stdout_logfile_maxbytes": "20MB",
            "stdout_logfile_backups": "2",
        }
        for value in lines.values():
            if any(mark in value for mark in CUT_AT):
                raise HeadraceError(
                    f"{self.name}: supervisor can't take a command or variable with {CUT_AT}: {value!r}"
                )
        body = "\n".join(f"{key}={value.replace('%', '%%')}" for key, value in lines.items() if value)
        return f"[program:{self.name}]\n{body}\n"


class Supervisor:
    """Client of one stack's supervisor, and what is needed to start it."""

    def __init__(self, files: StackFiles) -> None:
        self.files = files

    def alive(self) -> bool:
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error):
            return False

    def start(self) -> None:
        """Start the supervisor, and with it every program that is configured. Does nothing where it runs."""
        if self.alive():
            return
        # Without its supervisor a process is nobody's: it would hold ports and data against its successor.
        end(marked(STACK_MARKER, self.files.root))
        self._write_config()
        done = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.files.supervisor_config)],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise HeadraceError(f"the supervisor can't be started: {done.stdout}{done.stderr}")
        wait_until("the supervisor", self.alive, START_TIMEOUT_S, f"see {self.files.supervisor_log}")

    def shut_down(self) -> None:
        """Stop every program and the supervisor; returns when none of their processes is left."""
        try:
            if self.alive():
                self._call("shutdown")
                gone = lambda: not marked(STACK_MARKER, self.files.root)  # noqa: E731
                wait_until("the supervisor's end", gone, STOP_TIMEOUT_S, f"see {self.files.supervisor_log}")
        finally:
            end(marked(STACK_MARKER, self.files.root))

    def status(self, name: str) -> str:
        """``running``, ``stopped`` or ``absent``. Starting and backoff are running: it is looked after."""
        try:
            state = self._call("getProcessInfo", name)["statename"]
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == Faults.BAD_NAME:
                return "absent"
            raise
        except OSError:
            return "stopped"
        return "running" if state in ("RUNNING", "STARTING", "BACKOFF") else "stopped"

    def started_at(self, name: str) -> int:
        """When the program was last started, epoch seconds; 0 before its first start."""
        return int(self._call("getProcessInfo", name)["start"])

    def all(self) -> list[dict[str, Any]]:
        """The supervisor's own account of every program; none where it does not run."""
        return list(self._call("getAllProcessInfo")) if self.alive() else []

    def pids(self) -> dict[str, int]:
        """Pid by program, of those that run or have just been started."""
        alive = [info for info in self.all() if info["statename"] in ("RUNNING", "STARTING")]
        return {str(info["name"]): int(info["pid"]) for info in alive}

    def configured(self, program: Program) -> bool:
        """Whether the supervisor was told exactly this of the program."""
        path = self.files.programs / f"{program.name}.conf"
        return path.exists() and path.read_text() == program.ini(self.files)

    def run(self, program: Program) -> None:
        """(Re)start a program with this configuration; one that is on standby is only made known."""
        self.remove(program.name)
        path = self.files.programs / f"{program.name}.conf"
        self.files.log(program.name).parent.mkdir(parents=True, exist_ok=True)
        path.write_text(program.ini(self.files))
        self._tell_of(program.name)

    def _tell_of(self, name: str) -> None:
        """Have the supervisor read the program's file and start it."""
        self._call("reloadConfig")
        self._call("addProcessGroup", name)

    def ensure_started(self, name: str) -> None:
        """Start a program that is configured, known to the supervisor or not: who configured it may have been
        killed before it could tell."""
        status = self.status(name)
        if status == "running":
            return
        if status == "absent":
            self._tell_of(name)
            return
        try:
            self._call("startProcess", name)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise HeadraceError(f"process {name} can't be started: {fault.faultString}") from fault

    def remove(self, name: str) -> None:
        """Stop a program and forget it. Fine where it is not known."""
        (self.files.programs / f"{name}.conf").unlink(missing_ok=True)
        if not self.alive() or self.status(name) == "absent":
            return
        self.stop(name)
        self._call("removeProcessGroup", name)

    def stop(self, name: str) -> None:
        """Stop a program and keep it. Fine where it does not run."""
        try:
            self._call("stopProcess", name)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.NOT_RUNNING:
                raise HeadraceError(f"process {name} can't be stopped: {fault.faultString}") from fault

    def _call(self, method: str, *arguments: str) -> Any:
        # One connection serves one thread, and the provider's verbs are threads: each call has its own.
        transport = SupervisorTransport(None, None, f"unix://{self.files.supervisor_socket}")
        try:
            proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
            return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()

    def _write_config(self) -> None:
        files = self.files
        for folder in (files.programs, files.supervisor_log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        files.supervisor_socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.supervisor_socket.unlink(missing_ok=True)
        user = "user=root\n" if os.getuid() == 0 else ""  # said aloud, or it warns at every start
        files.supervisor_config.write_text(
            f"""[supervisord]
{user}logfile={files.supervisor_log}
pidfile={files.supervisor_pid}
[unix_http_server]
file={files.supervisor_socket}
chmod=0600
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{files.supervisor_socket}
[include]
files={files.programs}/*.conf
""".replace("%", "%%")
        )

    def _environment(self) -> dict[str, str]:
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return environment | {STACK_MARKER: str(self.files.root.resolve())}
