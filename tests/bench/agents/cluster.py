"""The cluster that the compared programs share: the stack's own parts, without those that they don't use."""

from __future__ import annotations

import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console

from headrace.environment.model import Agent
from headrace.local.agent import complete
from headrace.local.agent_jobs.inputs import folder_name
from headrace.local.context import HOST, LocalContext
from headrace.local.flink import client_environment
from headrace.local.flink_rest import FlinkRest, Unreachable
from headrace.local.processes import STACK_MARKER, marked
from headrace.local.snapshots import savepoint_folder
from headrace.local.supervision import Supervisor
from headrace.operations.clean import clean
from headrace.operations.stack import Stack
from headrace.operations.up import up
from headrace.toolchain.runtimes import Runtimes
from headrace_agents.spec import AgentJobSpec
from tests.bench import machine
from tests.pipeline.waiting import until

DECLARATION = Path(__file__).with_name("Pulumi.bench-agents.yaml")
NOT_NEEDED = ("capture-watch", "connect", "postgres", "prometheus", "scaling")
PYTHON_WORKER = "python-worker"
START_TIMEOUT_S = 120


class Cluster:
    def __init__(self) -> None:
        self.stack = Stack.find("", DECLARATION, machine.PROJECT)
        self.plan = self.stack.plan
        self.flink = FlinkRest(f"http://{HOST}:{self.plan.ports.flink_rest}")
        self.bootstrap_servers = f"{HOST}:{self.plan.ports.kafka}"
        self.runtimes = Runtimes.locate()
        (self._agent,) = self.plan.agents
        self._context = LocalContext(self.plan, self.stack.files, self.runtimes)

    def start(self, console: Console) -> None:
        """Bring it up where it is not; stop what would only take the programs' processor time."""
        with suppress(Unreachable):
            self.flink.jobs(self._agent.name)
            return
        up(self.stack, console, demo=False)
        for job in self.flink.jobs(self._agent.name):
            self.cancel(job.id)
        supervisor = Supervisor(self.stack.files)
        for program in NOT_NEEDED:
            supervisor.remove(program)

    def clean(self) -> None:
        clean(self.stack)

    @property
    def declared(self) -> Agent:
        """The agent as the environment declares it."""
        (agent,) = self.stack.environment.agents
        return agent

    @property
    def spec(self) -> AgentJobSpec:
        """What the plan tells the declared agent's job."""
        return complete(self._agent, self.stack.files)

    def set_model(self, settings: Mapping[str, Any]) -> None:
        httpx.put(f"{self._model}/settings", json=dict(settings), trust_env=False).raise_for_status()

    def calls_in_flight(self) -> int:
        return int(httpx.get(f"{self._model}/calls", trust_env=False).json()["in_flight"])

    def forget_calls(self) -> None:
        httpx.delete(f"{self._model}/calls", trust_env=False).raise_for_status()

    # Programs

    def submit(self, program: Path, spec: AgentJobSpec, python_path: str) -> str:
        """Run a PyFlink program with a specification; returns the id of the job, once all of it runs."""
        command = [str(self.runtimes.flink / "bin" / "flink"), "run", "--detached", "--python", str(program)]
        done = subprocess.run(
            [*command, "--spec", str(self.write(spec))],
            env=os.environ
            | client_environment(self._context, folder_name(self._agent.name))
            | {"PYTHONPATH": python_path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{program.name} can't be submitted:\n{(done.stdout + done.stderr)[-4000:]}")
        job = until(f"job {spec.name}", lambda: self.flink.jobs(spec.name), START_TIMEOUT_S)[0].id
        until(f"{spec.name} running", lambda: self.flink.all_running(job), START_TIMEOUT_S)
        return job

    def start_process(self, module: str, spec: AgentJobSpec) -> subprocess.Popen[bytes]:
        """Run a program in the agents' environment."""
        log = self.stack.files.log(spec.name).open("w")
        return subprocess.Popen(
            [str(self.runtimes.agents_python), "-m", module, "--spec", str(self.write(spec))],
            cwd=machine.PROJECT,
            env=os.environ | {STACK_MARKER: str(self.stack.files.root.resolve())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def cancel(self, job: str) -> None:
        self.flink.cancel(job)
        until(f"the end of job {job}", lambda: self.flink.state(job) == "CANCELED", START_TIMEOUT_S)

    def write(self, spec: AgentJobSpec) -> Path:
        path = self.stack.files.scratch("bench") / f"{spec.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(spec.model_dump_json(indent=2))
        return path

    # What it costs

    def checkpoints(self, job: str) -> dict[int, dict[str, Any]]:
        """Those that Flink remembers, by their number."""
        body = httpx.get(f"{self.flink.endpoint}/jobs/{job}/checkpoints", trust_env=False, timeout=15).json()
        return {found["id"]: found for found in body["history"] if found["status"] != "IN_PROGRESS"}

    def savepoint_bytes(self, job: str) -> int:
        """Of all files of a savepoint that is made for this."""
        folder = self.flink.savepoint(job, savepoint_folder("bench"), START_TIMEOUT_S)
        stored = self.stack.files.data("object-store") / folder.removeprefix("s3://")
        return sum(path.stat().st_size for path in stored.rglob("*") if path.is_file())

    def processor_seconds(self) -> dict[str, float]:
        """Used so far by each process of the stack; Python workers by themselves."""
        names = {int(program["pid"]): str(program["name"]) for program in self._programs()}
        used: dict[str, float] = defaultdict(float)
        for process in marked(STACK_MARKER, self.stack.files.root):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used[self._name(process, names)] += times.user + times.system
        return used

    @property
    def _model(self) -> str:
        return f"http://{HOST}:{self.plan.ports.scripted_model}"

    def _programs(self) -> list[dict[str, Any]]:
        return Supervisor(self.stack.files).all()

    def _name(self, process: psutil.Process, names: dict[int, str]) -> str:
        command = " ".join(process.cmdline())
        if "fn_execution" in command:
            return PYTHON_WORKER
        if "bench.agents.programs" in command:
            return "consumer"
        for each in (process, *process.parents()):
            if each.pid in names:
                return names[each.pid]
        return process.name()


def cores(before: Mapping[str, float], after: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Mean use between two moments, of those that used any."""
    used = {name: round((after[name] - before.get(name, 0.0)) / seconds, 3) for name in after}
    return {name: share for name, share in sorted(used.items()) if share >= 0.005}


def now_ms() -> int:
    return round(time.time() * 1000)
