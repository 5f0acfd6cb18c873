"""A stack of the tests' own, driven by the command line as a user drives it, and looked at from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import yaml

from headrace.errors import HeadraceError
from headrace.local.context import HOST
from headrace.local.files import StackFiles
from headrace.local.flink_rest import FlinkRest, Unreachable
from headrace.local.processes import SESSION_MARKER, STACK_MARKER, listeners, marked
from headrace.local.supervision import Supervisor
from headrace.operations.demo import connect
from headrace.operations.preflight import named_ports
from headrace.operations.stack import Stack
from headrace.operations.wholeness import missing_connectors
from headrace.plan.model import StackPlan

ROOT = Path(__file__).resolve().parents[2]
HEADRACE = Path(".venv", "bin", "headrace")
"""In a checkout that is set up."""
SUPERVISORCTL = ROOT / HEADRACE.with_name("supervisorctl")
ENVIRONMENT = "headrace:environment"
UP_TIMEOUT_S = 420
DOWN_TIMEOUT_S = 240
REST_TIMEOUT_S = 10
LOG_TAIL_LINES = 15


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    output: str
    """Standard output and error, as they came."""


class CommandFailedError(AssertionError):
    """A command ended otherwise than it should."""


@dataclass(frozen=True)
class LiveStack:
    """One declaration and the stack it makes."""

    declaration: Path
    checkout: Path = ROOT
    """Whose commands drive it."""

    @cached_property
    def found(self) -> Stack:
        return Stack.find("", self.declaration, ROOT)

    @property
    def plan(self) -> StackPlan:
        return self.found.plan

    @property
    def files(self) -> StackFiles:
        return self.found.files

    @property
    def agents(self) -> tuple[str, ...]:
        return tuple(agent.name for agent in self.plan.agents)

    @property
    def bootstrap_servers(self) -> str:
        return f"{HOST}:{self.plan.ports.kafka}"

    @property
    def connect_url(self) -> str:
        return f"http://{HOST}:{self.plan.ports.connect}"

    @property
    def flink(self) -> FlinkRest:
        return FlinkRest(f"http://{HOST}:{self.plan.ports.flink_rest}")

    # Commands

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on by itself, in a process group of its own."""
        command = [str(self.checkout / HEADRACE), *arguments, "--file", str(self.declaration)]
        return subprocess.Popen(
            command,
            cwd=self.checkout,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, timeout_s: float = UP_TIMEOUT_S) -> Done:
        """Run a command to its end, whatever that is."""
        process = self.start(*arguments)
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as late:
            os.killpg(process.pid, signal.SIGINT)
            output, _ = process.communicate(timeout=DOWN_TIMEOUT_S)
            raise CommandFailedError(f"headrace {arguments[0]} took over {timeout_s} s:\n{output}") from late
        return Done(process.returncode, output)

    def json(self, *arguments: str, timeout_s: float = UP_TIMEOUT_S) -> Any:
        """What a command that must end well says with ``--json``, whatever it says on standard error."""
        command = [str(self.checkout / HEADRACE), *arguments, "--json", "--file", str(self.declaration)]
        done = subprocess.run(
            command, cwd=self.checkout, capture_output=True, text=True, check=False, timeout=timeout_s
        )
        if done.returncode:
            raise CommandFailedError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def succeed(self, *arguments: str, timeout_s: float = UP_TIMEOUT_S) -> str:
        """Run a command that must end well; returns its output."""
        done = self.run(*arguments, timeout_s=timeout_s)
        if done.code:
            said = f"{done.output}\n{self.log_tails()}"
            raise CommandFailedError(f"headrace {arguments[0]} ended with {done.code}:\n{said}")
        return done.output

    def up(self) -> str:
        return self.succeed("up")

    def down(self) -> str:
        return self.succeed("down", timeout_s=DOWN_TIMEOUT_S)

    def clean(self) -> str:
        return self.succeed("clean", "--yes", timeout_s=DOWN_TIMEOUT_S)

    # What runs

    def database(self) -> psycopg.Connection[tuple[Any, ...]]:
        """As the superuser, each statement in its own transaction."""
        found = self.found
        return connect(found, found.plan.sources[0].database)

    def processes(self) -> dict[str, int]:
        """Pid by program, of those that run or start by the supervisor's account."""
        return Supervisor(self.files).pids()

    def stop_process(self, name: str) -> None:
        """By the supervisor's own command: the engine does not hear of it."""
        command = [str(SUPERVISORCTL), "-c", str(self.files.supervisor_config), "stop", name]
        subprocess.run(command, check=True, capture_output=True, timeout=DOWN_TIMEOUT_S)

    def job_ids(self) -> dict[str, str]:
        """Flink's job by agent. An agent with another number of jobs than one is an error."""
        found = {agent: [job.id for job in self.flink.jobs(agent)] for agent in self.agents}
        assert all(len(ids) == 1 for ids in found.values()), f"one job for each agent, not {found}"
        return {agent: ids[0] for agent, ids in found.items()}

    def jobs_running(self) -> bool:
        """Whether every agent has one job and every task of it runs."""
        try:
            jobs = [self.flink.jobs(agent) for agent in self.agents]
            return all(len(found) == 1 and self.flink.all_running(found[0].id) for found in jobs)
        except Unreachable:
            return False

    def is_whole(self) -> bool:
        """Whether every job and connector runs; a test may have stopped other parts itself."""
        return self.jobs_running() and not list(missing_connectors(self.found))

    def is_capturing(self) -> bool:
        """Whether every connector and its task run."""
        try:
            return not list(missing_connectors(self.found))
        except (httpx.HTTPError, HeadraceError, ValueError):  # a worker that starts answers with a page
            return False

    def checkpoints_completed(self, agent: str) -> int:
        """Completed checkpoints of the agent's present job; 0 while there is none."""
        try:
            jobs = self.flink.jobs(agent)
            if not jobs:
                return 0
            counts = self.rest(self.flink.endpoint, f"/jobs/{jobs[0].id}/checkpoints")["counts"]
        except (Unreachable, httpx.HTTPError):
            return 0
        return int(counts["completed"])

    def restarts(self) -> dict[str, int]:
        """Flink's ``numRestarts`` by agent, of its present job."""
        return {agent: int(self._metric(job, "numRestarts")) for agent, job in self.job_ids().items()}

    def _metric(self, job: str, name: str) -> float:
        """A job's metric, as the JobManager has it."""
        (found,) = _get(self.flink.endpoint, f"/jobs/{job}/metrics?get={name}")
        return float(found["value"])

    def rest(self, base: str, path: str) -> dict[str, Any]:
        return dict(_get(base, path))

    def members(self) -> list[psutil.Process]:
        """Every process of the stack: supervisor, what it runs, and children of those."""
        return marked(STACK_MARKER, self.files.root)

    def session_members(self) -> list[psutil.Process]:
        """What commands on this stack run: engine, plugins, Flink's client."""
        return marked(SESSION_MARKER, self.files.root)

    def ports(self) -> dict[str, int]:
        return dict(named_ports(self.plan.ports))

    def open_ports(self) -> dict[str, int]:
        """Ports of the stack that somebody listens on."""
        listening = listeners()
        return {purpose: port for purpose, port in self.ports().items() if port in listening}

    def log_tails(self, lines: int = LOG_TAIL_LINES) -> str:
        """The end of every log, for a failure's report."""
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
            for path in sorted((self.files.root / "log").glob("*.log"))
        )


def _get(base: str, path: str) -> Any:
    return httpx.get(base + path, timeout=REST_TIMEOUT_S, trust_env=False).raise_for_status().json()


def changed(
    declaration: Path, folder: Path, change: Mapping[str, Any], agent: str | None = None
) -> LiveStack:
    """The same stack declared differently: `change` is merged into the environment, or into one agent."""
    document = yaml.safe_load(declaration.read_text())
    environment = document["config"][ENVIRONMENT]
    target = next(a for a in environment["agents"] if a["name"] == agent) if agent else environment
    _merge(target, change)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / declaration.name
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return LiveStack(path)


def renamed(declaration: Path, folder: Path, name: str, port_base: int) -> LiveStack:
    """A second stack, declared as the first but for its name and its ports."""
    path = changed(declaration, folder, {"substrate": {"port_base": port_base}}).declaration
    return LiveStack(path.rename(path.with_name(f"Pulumi.{name}.yaml")))


def _merge(target: dict[str, Any], change: Mapping[str, Any]) -> None:
    for name, value in change.items():
        if isinstance(value, Mapping) and isinstance(target.get(name), dict):
            _merge(target[name], value)
        else:
            target[name] = value


def listening_socket(port: int) -> socket.socket:
    """A listener of this process on a loopback port."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen()
    return listener


def resource_counts(output: str) -> dict[str, int]:
    """What the engine did, by its summary: ``{"unchanged": 41, "updated": 1}``."""
    summary = output.partition("\nResources:\n")[2].partition("\n\n")[0]
    return {what: int(count) for count, what in re.findall(r"(\d+) ([a-z]+)", summary)}
