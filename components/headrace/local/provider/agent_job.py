"""An agent's Flink job: started from its newest snapshot, stopped with a savepoint."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from headrace.errors import HeadraceError
from headrace.local.files import StackFiles
from headrace.local.flink_rest import FlinkRest, Job, JobGone, SavepointFailed, Unreachable
from headrace.local.snapshots import discard, newest_snapshot, savepoint_folder, savepoints
from headrace.local.supervision import Supervisor
from headrace.provider.resource import Inputs, JsonObject, Kind
from headrace.waiting import WaitEnded, wait_until
from headrace_agents.spec import AgentJobSpec

RUNNING_TIMEOUT_S = 180
SAVEPOINT_TIMEOUT_S = 120
SUBMIT_TIMEOUT_S = 180
HEAL_TIMEOUT_S = 60
JOBMANAGER = "jobmanager"
FINISHED = "FINISHED"
"""How a job ends that was stopped with a savepoint."""


class AgentJobInputs(Inputs):
    root: str
    flink_endpoint: str
    object_store_endpoint: str
    spec: dict[str, Any]
    """An ``AgentJobSpec`` as JSON."""
    command: tuple[str, ...]
    """Submits the job; ``--fromSavepoint`` and the specification's file are added."""
    client_files: dict[str, str]
    """Configuration folder of Flink's client."""
    environment: dict[str, str]

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def digest(self) -> str:
        """What is compared with the running job's."""
        return AgentJobSpec.model_validate(self.spec).digest()


class AgentJobKind(Kind[AgentJobInputs]):
    token = "headrace-local:index:AgentJob"
    inputs = AgentJobInputs
    settled: ClassVar = {"status": "running"}
    unobserved = frozenset(
        {"root", "flink_endpoint", "object_store_endpoint", "command", "client_files", "environment"}
    )

    def identify(self, inputs: AgentJobInputs) -> str:
        return inputs.name

    def create(self, inputs: AgentJobInputs) -> JsonObject:
        rest = FlinkRest(inputs.flink_endpoint)
        wait_until("Flink's JobManager", lambda: _reachable(rest, inputs.name), RUNNING_TIMEOUT_S)
        jobs = rest.jobs(inputs.name)
        # Two clients of an interrupted command: all but the newest are too many, it holds the transactions.
        wanted = jobs[:1] if jobs and _digest(rest, jobs[0]) == inputs.digest else []
        for job in jobs:
            if job not in wanted:
                _stop(rest, job, inputs)
        if not wanted:
            self._submit(inputs)
        wait_until(f"agent {inputs.name} running", lambda: _running(rest, inputs.name), RUNNING_TIMEOUT_S)
        return {"status": "running", "digest": inputs.digest}

    def read(self, inputs: AgentJobInputs) -> JsonObject | None:
        rest = FlinkRest(inputs.flink_endpoint)
        try:
            jobs = rest.jobs(inputs.name)
            if not jobs:
                return None
            digest = rest.digest(jobs[0].id)
        except Unreachable:
            return {"status": "unreachable"}
        return {"status": "running", "digest": digest} if digest else {"status": "starting"}

    def delete(self, inputs: AgentJobInputs) -> None:
        if Supervisor(StackFiles(Path(inputs.root))).status(JOBMANAGER) != "running":
            # The cluster is gone and the job with it; its newest checkpoint is where it goes on.
            return
        rest = FlinkRest(inputs.flink_endpoint)
        wait_until("Flink's JobManager", lambda: _reachable(rest, inputs.name), RUNNING_TIMEOUT_S)
        for job in rest.jobs(inputs.name):
            _stop(rest, job, inputs)

    def differences(self, old: JsonObject, new: JsonObject) -> dict[str, bool]:
        changed = super().differences(old, new)
        wanted = AgentJobInputs.model_validate(new).digest
        if not changed and old.get("digest") != wanted:
            changed["digest"] = False
        return changed

    def _submit(self, inputs: AgentJobInputs) -> None:
        files = StackFiles(Path(inputs.root))
        folder = files.etc(folder_name(inputs.name))
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in inputs.client_files.items():
            (folder / name).write_text(content)
        spec_file = folder / "job.json"
        spec_file.write_text(json.dumps(inputs.spec, indent=2))
        snapshot = _newest_snapshot(inputs)
        restore = ["--fromSavepoint", snapshot] if snapshot else []
        command = [*inputs.command[:2], *restore, *inputs.command[2:], "--spec", str(spec_file)]
        log = files.log(f"submit-{inputs.name}")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as output:
            done = subprocess.run(
                ["timeout", str(SUBMIT_TIMEOUT_S), *command],
                env=os.environ | inputs.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
            raise HeadraceError(f"agent {inputs.name} can't be submitted (whole output: {log}):\n{tail}")


def folder_name(agent: str) -> str:
    """An agent's folder of configuration; prefixed, so that no agent's name meets a process's."""
    return f"agent-{agent}"


def _newest_snapshot(inputs: AgentJobInputs) -> str | None:
    snapshot = newest_snapshot(inputs.object_store_endpoint, inputs.name)
    return snapshot.path if snapshot else None


def _reachable(rest: FlinkRest, name: str) -> bool:
    try:
        rest.jobs(name)
    except Unreachable:
        return False
    return True


def _running(rest: FlinkRest, name: str) -> bool:
    jobs = rest.jobs(name)
    if not jobs:
        raise HeadraceError(f"agent {name} ended right after its start; see Flink's log of the JobManager")
    return rest.all_running(jobs[0].id)


def _digest(rest: FlinkRest, job: Job) -> str:
    """Waits for a job that Flink is recovering; one that is not there in time counts as another job."""
    try:
        return wait_until("the recovered job", lambda: rest.digest(job.id), HEAL_TIMEOUT_S)
    except WaitEnded:
        return ""


def _stop(rest: FlinkRest, job: Job, inputs: AgentJobInputs) -> None:
    """With a savepoint; a job that can't make one is cancelled, and goes on from its newest checkpoint.

    Neither way loses or repeats anything: sources and sinks are part of either kind of snapshot. But a
    savepoint that was written and whose stop then failed is no place to go on from: the transactions
    that it holds are aborted when the job falls back to its checkpoint. It is discarded.
    """
    store = inputs.object_store_endpoint
    before = savepoints(store, job.name)
    stopped = True
    try:
        wait_until("tasks running", lambda: rest.all_running(job.id), HEAL_TIMEOUT_S)
        rest.stop_with_savepoint(job.id, savepoint_folder(job.name), SAVEPOINT_TIMEOUT_S)
    except (WaitEnded, SavepointFailed, JobGone):
        stopped = _ended_or_cancelled(rest, job) == FINISHED
    _wait_for_end(rest, job)
    if not stopped:
        for unfinished in savepoints(store, job.name) - before:
            discard(store, unfinished)


def _ended_or_cancelled(rest: FlinkRest, job: Job) -> str:
    """Cancel the job where it still runs; returns the state in which it ended."""
    with suppress(JobGone):  # it has ended by itself meanwhile
        rest.cancel(job.id)
    _wait_for_end(rest, job)
    try:
        return rest.state(job.id)
    except JobGone:
        # A restarted JobManager remembers no ended job; one that was still to run it would have recovered.
        return FINISHED


def _wait_for_end(rest: FlinkRest, job: Job) -> None:
    wait_until(
        f"the end of job {job.id}",
        lambda: job.id not in {j.id for j in rest.jobs(job.name)},
        SAVEPOINT_TIMEOUT_S,
    )
