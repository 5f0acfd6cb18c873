"""An agent on this machine, as its upgrades know it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from headrace.local.agent_jobs.client import JobClient
from headrace.local.agent_jobs.inputs import AgentJobInputs
from headrace.local.agent_jobs.job import AgentJob
from headrace.local.agent_jobs.releases import release_of
from headrace.local.flink_rest import JobGone, SavepointFailed
from headrace.local.topics import told
from headrace.local.verification import verify
from headrace.upgrades.proof import proven
from headrace.upgrades.record import Cutover, FolderHistory
from headrace.upgrades.substrate import Tell
from headrace.waiting import WaitCancelled, WaitEnded, cancelled
from headrace_agents.spec import AgentJobSpec
from headrace_agents.topics import Broker, ends
from headrace_agents.upgrades.conduct import Conduct
from headrace_agents.upgrades.deeds import Deeds, backlog, between_decisions_s, recent_conduct
from headrace_agents.upgrades.rollback import Undone, undoing
from headrace_agents.upgrades.told import CaughtUp, Seen, Undoing
from headrace_agents.upgrades.winding_down import wind_down


class LocalTopics:
    """:class:`headrace.upgrades.substrate.Topics` of a broker that is reached from here."""

    def conduct(self, spec: AgentJobSpec) -> Conduct:
        with told():
            return recent_conduct(spec)

    def ends(self, spec: AgentJobSpec) -> tuple[dict[int, int], dict[int, int]]:
        broker = Broker.of(spec)
        with told():
            return ends(broker, spec.outputs.outcomes), ends(broker, spec.outputs.runs)

    def wind_down(self, spec: AgentJobSpec) -> int:
        with told():
            return wind_down(spec, _pause)

    def between_decisions_s(self, spec: AgentJobSpec, cutover: Mapping[int, int]) -> float | None:
        with told():
            return between_decisions_s(spec, cutover)

    def undoing(self, spec: AgentJobSpec) -> Undoing:
        with told():
            return undoing(spec, _pause)

    def note_decided(self, spec: AgentJobSpec, rollback: str, cutover: Cutover, undone: Undoing) -> None:
        with told():
            Undone(spec, rollback, cutover.outcomes, undone).note()

    def catch_up(self, spec: AgentJobSpec, rollback: str, cutover: Cutover, undone: Undoing) -> CaughtUp:
        with told():
            return Undone(spec, rollback, cutover.outcomes, undone).catch_up(_pause)


def _pause(seconds: float) -> None:
    if cancelled.wait(seconds):
        raise WaitCancelled("cancelled; run the command again")


class LocalPlace:
    """:class:`headrace.upgrades.substrate.Substrate` of this machine's Flink."""

    def __init__(self, inputs: AgentJobInputs, tell: Tell) -> None:
        self._job, self._tell = AgentJob(inputs), tell
        self.history = FolderHistory(inputs.files.upgrades(inputs.name))
        self.topics = LocalTopics()

    def recorded(self, inputs: Mapping[str, Any]) -> AgentJobInputs:
        return AgentJobInputs.model_validate(inputs)

    def reach(self) -> None:
        self._job.wait_for_flink()

    def has_job(self) -> bool:
        return bool(self._job.all())

    def running(self) -> str | None:
        jobs = self._job.all()
        return self._job.digest(jobs[0]) if jobs else None

    def prove(self, new: AgentJobInputs) -> dict[str, Any] | None:
        """On a savepoint of the running job, or on its newest snapshot where it can make none; by the code
        that the new job would run."""
        savepoint = self._savepoint() or self._job.newest_snapshot()
        if savepoint is None:
            return None
        self._tell(f"proving the new version on {savepoint}")
        environment = new.environment | {"PYTHONPATH": str(release_of(new))}
        try:
            report = verify(new.files, new.model_copy(update={"environment": environment}), savepoint)
        finally:
            self._job.forget_proofs()
        return proven(new.name, report)

    def _savepoint(self) -> str | None:
        for job in self._job.all()[:1]:
            try:
                return self._job.savepoint_to_prove(job)
            except (SavepointFailed, JobGone, WaitEnded) as error:
                self._tell(f"the running job makes no savepoint, its newest snapshot is taken: {error}"[:500])
        return None

    def starting(self, version: AgentJobInputs) -> JobClient:
        return JobClient(version)

    def stop(self) -> None:
        for job in self._job.all():
            self._tell(f"stopping job {job.id} with a savepoint")
            self._job.stop(job)

    def newest_snapshot(self) -> str | None:
        return self._job.newest_snapshot()

    def undo(self, digest: str) -> None:
        for job in self._job.all():
            if self._job.digest(job) == digest:
                self._job.undo(job)

    def wait_until_running(self, most_failures: int | None = None) -> None:
        self._job.wait_until_running(most_failures)

    @contextmanager
    def watched(self, version: AgentJobInputs, cutover: Cutover) -> Iterator[Callable[[], Seen | None]]:
        spec = version.job_spec
        deeds = Deeds(spec, cutover.outcomes, cutover.runs)

        def look() -> Seen | None:
            vitals = self._job.rest.vitals(version.name)
            if vitals is None:
                return None
            with told():
                return Seen(vitals=vitals, backlog=backlog(spec), conduct=deeds.conduct())

        yield look
