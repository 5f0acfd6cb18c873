"""An agent on this machine, as its upgrades know it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from headrace.local.agent_jobs.client import JobClient
from headrace.local.agent_jobs.deeds import (
    Deeds,
    backlog,
    between_decisions_s,
    outcomes_since,
    recent_conduct,
    settled_ends,
)
from headrace.local.agent_jobs.inputs import AgentJobInputs
from headrace.local.agent_jobs.job import AgentJob
from headrace.local.agent_jobs.releases import release_of
from headrace.local.agent_jobs.rollback import catch_up, note_decided
from headrace.local.agent_jobs.winding_down import wind_down
from headrace.local.flink_rest import JobGone, SavepointFailed
from headrace.local.topics import ends
from headrace.local.verification import verify
from headrace.upgrades.conduct import Conduct
from headrace.upgrades.proof import proven
from headrace.upgrades.record import CaughtUp, Cutover, FolderHistory, Undoing
from headrace.upgrades.substrate import Seen, Tell, Vitals
from headrace.waiting import WaitEnded
from headrace_agents.records import Outcome
from headrace_agents.spec import AgentJobSpec


class LocalTopics:
    """:class:`headrace.upgrades.substrate.Topics` of a broker that is reached from here."""

    def conduct(self, spec: AgentJobSpec) -> Conduct:
        return recent_conduct(spec)

    def ends(self, spec: AgentJobSpec) -> tuple[dict[int, int], dict[int, int]]:
        return ends(spec.kafka, spec.outputs.outcomes), ends(spec.kafka, spec.outputs.runs)

    def wind_down(self, spec: AgentJobSpec) -> int:
        return wind_down(spec)

    @contextmanager
    def watched(self, spec: AgentJobSpec, cutover: Cutover) -> Iterator[Callable[[], Seen | None]]:
        deeds = Deeds(spec, cutover.outcomes, cutover.runs)
        yield lambda: Seen(backlog(spec), deeds.conduct())

    def between_decisions_s(self, spec: AgentJobSpec, cutover: Mapping[int, int]) -> float | None:
        return between_decisions_s(spec, cutover)

    def undoing(self, spec: AgentJobSpec) -> Undoing:
        return Undoing(
            outcomes=settled_ends(spec, spec.outputs.outcomes), reports=ends(spec.kafka, spec.outputs.reports)
        )

    def note_decided(self, spec: AgentJobSpec, rollback: str, cutover: Cutover, undoing: Undoing) -> None:
        note_decided(spec, rollback, _decided(spec, cutover, undoing))

    def catch_up(self, spec: AgentJobSpec, rollback: str, cutover: Cutover, undoing: Undoing) -> CaughtUp:
        return catch_up(spec, rollback, _decided(spec, cutover, undoing), undoing.reports)


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

    def wait_until_running(self) -> None:
        self._job.wait_until_running()

    def vitals(self) -> Vitals | None:
        running = self._job.all()
        if not running:
            return None
        rest, job = self._job.rest, running[0]
        failures, failure = rest.failures(job.id)
        last_ms = rest.last_checkpoint_ms(job.id)
        return Vitals(
            failures=failures,
            failure=failure,
            checkpoints=rest.completed_checkpoints(job.id),
            checkpoint_ms=job.started_ms if last_ms is None else last_ms,
        )


def _decided(spec: AgentJobSpec, cutover: Cutover, undoing: Undoing) -> list[Outcome]:
    return outcomes_since(spec, cutover.outcomes, undoing.outcomes)
