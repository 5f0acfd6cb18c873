"""An agent's Flink job: started from its newest snapshot, stopped with a savepoint, changed on proof."""

from __future__ import annotations

import logging
from typing import ClassVar

from pydantic import ValidationError

from headrace.errors import HeadraceError
from headrace.local.agent_jobs.client import JobClient
from headrace.local.agent_jobs.inputs import AgentJobInputs, version_of, wrote_its_state
from headrace.local.agent_jobs.job import AgentJob
from headrace.local.agent_jobs.place import LocalPlace
from headrace.local.agent_jobs.releases import remove_unused
from headrace.local.flink_rest import Unreachable
from headrace.local.names import JOBMANAGER
from headrace.local.supervision import Supervisor
from headrace.plan.upgrades import flink_step, judge
from headrace.provider.resource import JsonObject, Kind
from headrace.upgrades.record import FolderHistory
from headrace.upgrades.substrate import Tell
from headrace.upgrades.upgrade import AgentUpgrade, end_interrupted

log = logging.getLogger(__name__)


class AgentJobKind(Kind[AgentJobInputs]):
    token = "headrace-local:index:AgentJob"
    inputs = AgentJobInputs
    settled: ClassVar = {"status": "running"}
    unobserved = frozenset(
        {
            "root",
            "flink_endpoint",
            "object_store_endpoint",
            "command",
            "client_files",
            "environment",
            "packages",
            "healthy_for_s",
            "drains_runs",
            "manifest",
        }
    )

    def identify(self, inputs: AgentJobInputs) -> str:
        return inputs.name

    def create(self, inputs: AgentJobInputs) -> JsonObject:
        tell = _teller(inputs)
        place = LocalPlace(inputs, tell)
        end_interrupted(inputs, place, tell)
        job = AgentJob(inputs)
        job.wait_for_flink()
        running = job.running(inputs.digest)
        if running is None and not wrote_its_state(inputs):
            place.prove(inputs)
        for other in job.all():
            if other != running:
                job.stop(other)
        if running is None:
            with JobClient(inputs) as client:
                client.go(job.newest_snapshot())
        job.wait_until_running()
        return _observed(inputs)

    def update(self, old: JsonObject, inputs: AgentJobInputs) -> JsonObject:
        try:
            before = self.recorded_inputs(old)
        except ValidationError:
            # Recorded by another version of this provider, which knew no upgrades.
            return self.create(inputs)
        tell = _teller(inputs)
        place = LocalPlace(inputs, tell)
        ran = end_interrupted(inputs, place, tell)
        if ran is not None and ran.digest != before.digest:
            before = ran
        if before.digest == inputs.digest:
            return self.create(inputs)
        AgentUpgrade(before, inputs, place, tell).run()
        remove_unused(inputs.files)
        return _observed(inputs)

    def read(self, inputs: AgentJobInputs) -> JsonObject | None:
        rest = AgentJob(inputs).rest
        try:
            jobs = rest.jobs(inputs.name)
            if not jobs:
                # One that an interrupted upgrade stopped is not gone: the next command goes on with that.
                interrupted = FolderHistory(inputs.files.upgrades(inputs.name)).unfinished()
                return {"status": "stopped"} if interrupted else None
            digest = rest.digest(jobs[0].id)
        except Unreachable:
            return {"status": "unreachable"}
        return {"status": "running", "digest": digest} if digest else {"status": "starting"}

    def delete(self, inputs: AgentJobInputs) -> None:
        if Supervisor(inputs.files).status(JOBMANAGER) != "running":
            # The cluster is gone and the job with it; its newest checkpoint is where it goes on.
            return
        job = AgentJob(inputs)
        job.wait_for_flink()
        for running in job.all():
            job.stop(running)

    def differences(self, old: JsonObject, new: JsonObject) -> dict[str, bool]:
        changed = super().differences(old, new)
        wanted = AgentJobInputs.model_validate(new).digest
        if not changed and old.get("digest") != wanted:
            changed["digest"] = False
        return changed

    def foretold(self, old: JsonObject, new: JsonObject) -> str:
        """Raises HeadraceError: the state of the version that runs is nothing for this one."""
        try:
            before = version_of(old)
        except ValidationError:
            # Recorded by another version of this provider, whose fields mean who knows what.
            return (
                f"agent {new['spec']['name']}: what runs was specified by another Headrace, and is not judged"
            )
        after = version_of(new)
        if "status" in old and (step := flink_step(before, after)):
            # All agents share the cluster, whose processes come before their jobs.
            raise HeadraceError(
                f"agent {after.spec.name} runs on Flink {step[0]}, and Flink {step[1]} is installed. Run"
                " `headrace down`, which stops each job with a savepoint, and `up`, which goes on from it."
                " Nothing was changed"
            )
        judgement = judge(before, after)
        if judgement.kind == "refused":
            raise HeadraceError(f"{judgement.text}\nNothing was changed")
        return "" if judgement.kind == "nothing" else judgement.text


def _teller(inputs: AgentJobInputs) -> Tell:
    return lambda said: log.info("agent %s: %s", inputs.name, said)


def _observed(inputs: AgentJobInputs) -> JsonObject:
    return {"status": "running", "digest": inputs.digest}
