"""An agent's job in Flink: found, stopped with a savepoint, cancelled; and the snapshots that it left."""

from __future__ import annotations

from contextlib import suppress

from headrace.errors import HeadraceError
from headrace.local.agent_jobs.inputs import AgentJobInputs
from headrace.local.flink_rest import FlinkRest, Job, JobGone, SavepointFailed, Unreachable
from headrace.local.snapshots import (
    Snapshot,
    checkpoints,
    discard,
    newest_snapshot,
    proof_folder,
    remove_proofs,
    savepoint_folder,
    savepoints,
)
from headrace.waiting import WaitEnded, wait_until

RUNNING_TIMEOUT_S = 180
SAVEPOINT_TIMEOUT_S = 120
HEAL_TIMEOUT_S = 60
FINISHED = "FINISHED"
"""How a job ends that was stopped with a savepoint."""


class AgentJob:
    """Whatever version of the agent it runs."""

    def __init__(self, inputs: AgentJobInputs) -> None:
        self.name = inputs.name
        self.rest = FlinkRest(inputs.flink_endpoint)
        self._store = inputs.object_store_endpoint

    def wait_for_flink(self) -> None:
        wait_until("Flink's JobManager", self._reachable, RUNNING_TIMEOUT_S)

    def all(self) -> list[Job]:
        """Newest first. Two clients of an interrupted command made two: all but the newest are too many,
        it holds the transactions."""
        return self.rest.jobs(self.name)

    def digest(self, job: Job) -> str:
        """Waits for a job that Flink is recovering; one that is not there in time counts as another job."""
        try:
            return wait_until("the recovered job", lambda: self.rest.digest(job.id), HEAL_TIMEOUT_S)
        except WaitEnded:
            return ""

    def running(self, digest: str) -> Job | None:
        """The newest job, where it is the one of this digest."""
        jobs = self.all()
        return jobs[0] if jobs and self.digest(jobs[0]) == digest else None

    def wait_until_running(self, most_failures: int | None = None) -> Job:
        """Raises HeadraceError: it ended, takes too long, or fails so often before all of its tasks run."""

        def found() -> Job | None:
            jobs = self.all()
            if not jobs:
                raise HeadraceError(
                    f"agent {self.name} ended right after its start; see Flink's log of the JobManager"
                )
            if self.rest.all_running(jobs[0].id):
                return jobs[0]
            if most_failures is not None:
                self._refuse_failing(most_failures)
            return None

        return wait_until(f"agent {self.name} running", found, RUNNING_TIMEOUT_S)

    def _refuse_failing(self, most_failures: int) -> None:
        try:
            vitals = self.rest.vitals(self.name)
        except (Unreachable, JobGone):
            # Of a job that is made, or recovered, the Dispatcher knows no checkpoints yet.
            return
        if vitals is not None and vitals.failures >= most_failures:
            raise HeadraceError(f"it failed {vitals.failures} times before it ran: {vitals.failure}")

    def newest_snapshot(self) -> str | None:
        snapshot = newest_snapshot(self._store, self.name)
        return snapshot.path if snapshot else None

    def savepoint_to_prove(self, job: Job) -> str:
        """A native savepoint of a job that goes on. Nothing goes on from it.

        Raises:
            SavepointFailed, JobGone, WaitEnded: there is none.
        """
        self.forget_proofs()
        wait_until("tasks running", lambda: self.rest.all_running(job.id), HEAL_TIMEOUT_S)
        return self.rest.savepoint(job.id, proof_folder(self.name), SAVEPOINT_TIMEOUT_S, native=True)

    def forget_proofs(self) -> None:
        remove_proofs(self._store, self.name)

    def stop(self, job: Job) -> None:
        """With a savepoint; a job that can't make one is cancelled, and goes on from its newest checkpoint.

        Neither way loses or repeats anything: sources and sinks are part of either kind of snapshot. But a
        savepoint that was written and whose stop then failed is no place to go on from: the transactions
        that it holds are aborted when the job falls back to its checkpoint. It is discarded.
        """
        before = savepoints(self._store, self.name)
        stopped = True
        try:
            wait_until("tasks running", lambda: self.rest.all_running(job.id), HEAL_TIMEOUT_S)
            self.rest.stop_with_savepoint(job.id, savepoint_folder(self.name), SAVEPOINT_TIMEOUT_S)
        except (WaitEnded, SavepointFailed, JobGone):
            stopped = self._ended_or_cancelled(job) == FINISHED
        self._wait_for_end(job)
        if not stopped:
            for unfinished in savepoints(self._store, self.name) - before:
                discard(self._store, unfinished)

    def undo(self, job: Job) -> None:
        """Cancel it, and let nothing go on from the checkpoints that it made."""
        self._ended_or_cancelled(job)
        for made in self._checkpoints_of(job):
            discard(self._store, made)

    def _checkpoints_of(self, job: Job) -> list[Snapshot]:
        return [each for each in checkpoints(self._store, self.name) if f"/{job.id}/" in each.path]

    def _reachable(self) -> bool:
        try:
            self.all()
        except Unreachable:
            return False
        return True

    def _ended_or_cancelled(self, job: Job) -> str:
        """Cancel the job where it still runs; returns the state in which it ended."""
        with suppress(JobGone):  # it has ended by itself meanwhile
            self.rest.cancel(job.id)
        self._wait_for_end(job)
        try:
            return self.rest.state(job.id)
        except JobGone:
            # A restarted JobManager remembers no ended job; one that was to run on it would have recovered.
            return FINISHED

    def _wait_for_end(self, job: Job) -> None:
        wait_until(
            f"the end of job {job.id}",
            lambda: job.id not in {each.id for each in self.all()},
            SAVEPOINT_TIMEOUT_S,
        )
