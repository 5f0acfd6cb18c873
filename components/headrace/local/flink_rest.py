"""Client of Flink's REST interface, as far as jobs go.

https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/rest_api/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from headrace.errors import HeadraceError
from headrace.waiting import wait_until
from headrace_agents.spec import DIGEST_PARAMETER
from headrace_agents.upgrades.vitals import TERMINAL, Vitals, vitals

TIMEOUT_S = 15
NONE_KEPT = httpx.Limits(max_keepalive_connections=0)
INITIALIZING = "UnavailableDispatcherOperationException"
"""In an answer (500) about a job that a new JobManager has not recovered yet."""
CACHED_S = 3
"""How old what is said of a job's tasks and failures may be: the default of ``web.refresh-interval``. The
times in it are Flink's own, to the millisecond."""


class Unreachable(HeadraceError):
    """The JobManager does not answer."""


class SavepointFailed(HeadraceError):
    """The job could not make its savepoint, and goes on running."""


class JobGone(HeadraceError):
    """There is no such job, savepoint request, or it has ended already."""


@dataclass(frozen=True)
class Job:
    id: str
    name: str
    state: str
    started_ms: int


@dataclass(frozen=True)
class TaskManager:
    id: str
    slots: int
    free_slots: int

    @property
    def slots_in_use(self) -> int:
        return self.slots - self.free_slots


class FlinkRest:
    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        # One client for all requests, as making one costs more than a request; no connection is kept.
        self._client = httpx.Client(timeout=TIMEOUT_S, trust_env=False, limits=NONE_KEPT)

    def jobs(self, name: str) -> list[Job]:
        """Jobs of that name that have not ended, newest first."""
        found = [
            Job(j["jid"], j["name"], j["state"], j["start-time"])
            for j in self._get("/jobs/overview")["jobs"]
            if j["name"] == name and j["state"] not in TERMINAL
        ]
        return sorted(found, key=lambda job: job.started_ms, reverse=True)

    def digest(self, job_id: str) -> str:
        """The digest that the job was submitted with; empty where Flink does not know it (yet).

        While a job waits for its slots, after a recovery too, Flink answers with an empty configuration.
        """
        config = self._get(f"/jobs/{job_id}/config")
        return str(config.get("execution-config", {}).get("user-config", {}).get(DIGEST_PARAMETER, ""))

    def all_running(self, job_id: str) -> bool:
        return _all_run(self._get(f"/jobs/{job_id}"))

    def running_since_ms(self, job_id: str) -> int | None:
        """When the last of the job's tasks began to run, epoch milliseconds; None while not all do."""
        body = self._get(f"/jobs/{job_id}")
        if not _all_run(body):
            return None
        paths = [f"/jobs/{job_id}/vertices/{vertex['id']}/subtasktimes" for vertex in body["vertices"]]
        subtasks = [subtask for path in paths for subtask in self._get(path)["subtasks"]]
        # A task that has just been lost and deployed anew has no such time yet.
        since = [int(subtask["timestamps"]["RUNNING"]) for subtask in subtasks]
        return max(since) if all(moment > 0 for moment in since) else None

    def failures_ms(self, job_id: str) -> list[int]:
        """When the job's JobManager took notice of its latest failures, epoch milliseconds.

        A JobManager knows of no failure before its own start.
        """
        history = self._get(f"/jobs/{job_id}/exceptions")["exceptionHistory"]
        return [int(entry["timestamp"]) for entry in history["entries"]]

    def vitals(self, name: str) -> Vitals | None:
        """Of the newest job of that name; None where there is none."""
        return vitals(self._get, name)

    def taskmanagers(self) -> list[TaskManager]:
        """Those that are registered."""
        return [
            TaskManager(found["id"], found["slotsNumber"], found["freeSlots"])
            for found in self._get("/taskmanagers")["taskmanagers"]
        ]

    def running_parallelism(self, job_id: str) -> int:
        """Of the job's widest vertex; 0 while not all of its tasks run."""
        body = self._get(f"/jobs/{job_id}")
        return max(int(vertex["parallelism"]) for vertex in body["vertices"]) if _all_run(body) else 0

    def wanted_parallelism(self, job_id: str) -> int:
        """To which the adaptive scheduler takes the job where there are slots."""
        wanted = self._get(f"/jobs/{job_id}/resource-requirements")
        return max(int(each["parallelism"]["upperBound"]) for each in wanted.values())

    def want_parallelism(self, job_id: str, parallelism: int) -> None:
        """Every vertex's; the adaptive scheduler restarts the tasks from a checkpoint, and no process.

        With high availability it outlives a JobManager. Fewer slots make fewer subtasks, not a failure.
        """
        bounds = {"parallelism": {"lowerBound": 1, "upperBound": parallelism}}
        vertices = self._get(f"/jobs/{job_id}/resource-requirements")
        self._send("PUT", f"/jobs/{job_id}/resource-requirements", dict.fromkeys(vertices, bounds))

    def stop_with_savepoint(self, job_id: str, folder: str, timeout_s: float) -> str:
        """Stop without draining, so that timers and state stay as they are; returns the savepoint's path."""
        body = {"drain": False, "targetDirectory": folder}
        return self._savepoint_of(job_id, "stop", body, timeout_s)

    def savepoint(self, job_id: str, folder: str, timeout_s: float, *, native: bool = False) -> str:
        """A savepoint of a job that goes on; returns its path.

        In the canonical format: every entry of state is written anew, so it holds what state holds and no
        more. A native one copies RocksDB's files with what was removed and not yet compacted away.
        """
        format_ = "NATIVE" if native else "CANONICAL"
        body = {"target-directory": folder, "cancel-job": False, "formatType": format_}
        return self._savepoint_of(job_id, "savepoints", body, timeout_s)

    def _savepoint_of(self, job_id: str, path: str, body: dict[str, Any], timeout_s: float) -> str:
        trigger = self._send("POST", f"/jobs/{job_id}/{path}", body)["request-id"]
        result = wait_until(
            "the savepoint", lambda: self._savepoint(job_id, trigger), timeout_s, "the job was left running"
        )
        if "failure-cause" in result:
            raise SavepointFailed(
                f"savepoint failed: {result['failure-cause'].get('stack-trace', '')[:2000]}"
            )
        return str(result["location"])

    def cancel(self, job_id: str) -> None:
        """Its retained checkpoints stay."""
        self._send("PATCH", f"/jobs/{job_id}?mode=cancel", None)

    def state(self, job_id: str) -> str:
        """As Flink names it; it keeps ended jobs for a while."""
        return str(self._get(f"/jobs/{job_id}")["state"])

    def last_checkpoint_ms(self, job_id: str) -> int | None:
        """When the newest completed checkpoint was acknowledged, epoch milliseconds."""
        latest = self._get(f"/jobs/{job_id}/checkpoints")["latest"]["completed"]
        return int(latest["latest_ack_timestamp"]) if latest else None

    def completed_checkpoint(self, job_id: str) -> int | None:
        """Number of the newest completed checkpoint."""
        return self._checkpoint(job_id, "completed")

    def restored_checkpoint(self, job_id: str) -> int | None:
        """Number of the checkpoint that the job was last restored from."""
        return self._checkpoint(job_id, "restored")

    def _checkpoint(self, job_id: str, which: str) -> int | None:
        latest = self._get(f"/jobs/{job_id}/checkpoints")["latest"][which]
        return int(latest["id"]) if latest else None

    def checkpoint_durations_ms(self, job_id: str) -> dict[str, float]:
        """Count, and p50, p99 and max of the end-to-end durations, as Flink sums them up."""
        body = self._get(f"/jobs/{job_id}/checkpoints")
        duration = body["summary"]["end_to_end_duration"]
        return {"count": body["counts"]["completed"], **{q: duration[q] for q in ("p50", "p99", "max")}}

    def _savepoint(self, job_id: str, trigger: str) -> dict[str, Any] | None:
        body = self._get(f"/jobs/{job_id}/savepoints/{trigger}")
        return body["operation"] if body["status"]["id"] == "COMPLETED" else None

    def _get(self, path: str) -> dict[str, Any]:
        return self._send("GET", path, None)

    def _send(self, method: str, path: str, body: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, self.endpoint + path, json=body)
        except httpx.TransportError as error:
            raise Unreachable(f"Flink's JobManager does not answer at {self.endpoint}: {error}") from error
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise Unreachable(f"Flink's JobManager at {self.endpoint} has no leader yet")
        if not answer.is_success and INITIALIZING in answer.text:
            raise Unreachable(f"Flink's JobManager at {self.endpoint} is recovering the job")
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
            raise JobGone(f"Flink knows nothing to {method} at {path}: {answer.text[:500]}")
        if not answer.is_success:
            raise HeadraceError(f"Flink refused {method} {path}: {answer.status_code} {answer.text[:2000]}")
        return dict(answer.json()) if answer.content else {}


def _all_run(job: dict[str, Any]) -> bool:
    return job["state"] == "RUNNING" and all(
        vertex["tasks"]["RUNNING"] == vertex["parallelism"] for vertex in job["vertices"]
    )
