"""A stand-in for the Flink Kubernetes Operator, by a script: what it makes of changes, and what it says.

As release 1.15 does, by its source (`AbstractJobReconciler`): a suspended job ends with a savepoint, or
without one where it is stateless; another nonce starts a job from the path that the specification names;
otherwise one that was suspended goes on from its savepoint. An image that is not there is an error of its
status. Jobs are :class:`tests.standins.flink.job.Job`, and no Flink.
"""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from headrace.provider.aws.agents.deployment import job_spec_of
from tests.standins.flink.job import Behaviour, Job
from tests.standins.kubernetes.api import Api
from tests.standins.place import Place
from tests.standins.values import Values

POLL_S = 0.1
FLINK = "flink.apache.org/v1beta1"


@dataclass
class Operator:
    """Of one cluster; `behaviours` by the end of an image's name, others behave well."""

    api: Api
    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)
    job: Job | None = None
    starts: list[tuple[str, str | None]] = field(default_factory=list)
    """Images and the snapshots that they were started from."""
    savepoints: dict[str, int] = field(default_factory=dict)
    """By path, the event that is next."""
    disposed: list[str] = field(default_factory=list)
    _nonces: set[int] = field(default_factory=set)
    _restore: str | None = None

    def reconcile(self) -> None:
        for kind, look in (("FlinkDeployment", self._deployment), ("FlinkStateSnapshot", self._snapshot)):
            if self.api.serves(FLINK, kind):
                for found in self.api.all(FLINK, kind):
                    look(found)

    def _deployment(self, found: Values) -> None:
        status = found.get("status") or {}
        if status.get("observedGeneration") == found["metadata"]["generation"]:
            return
        job, spec = found["spec"]["job"], found["spec"]
        said: dict[str, Any] = {"observedGeneration": found["metadata"]["generation"], "error": None}
        if job["state"] == "suspended":
            said |= self._suspend(found, keeps=job["upgradeMode"] != "stateless")
        else:
            said |= self._start(spec, job)
        self._say(found, said)

    def _suspend(self, found: Values, *, keeps: bool) -> Values:
        status: dict[str, Any] = {"state": "FINISHED" if keeps else "CANCELED"}
        if self.job is not None:
            event = self.job.stop()
            self.job = None
            if keeps:
                self._restore = self._saved(found, event)
        if self._restore:
            status["upgradeSavepointPath"] = self._restore
        return {"lifecycleState": "SUSPENDED", "jobManagerDeploymentStatus": "MISSING", "jobStatus": status}

    def _saved(self, found: Values, event: int) -> str:
        folder = found["spec"]["flinkConfiguration"]["execution.checkpointing.savepoint-dir"]
        path = f"{folder}/savepoint-{len(self.savepoints)}"
        self.savepoints[path] = event
        return path

    def _start(self, spec: Values, job: Values) -> Values:
        nonce = job.get("savepointRedeployNonce")
        if nonce is not None and nonce not in self._nonces:
            self._nonces.add(nonce)
            self._restore = job["initialSavepointPath"]
        behaviour = self._behaviour(spec["image"])
        event = self.savepoints[self._restore] if self._restore else 0
        if self.job is not None:
            event, self.job = self.job.stop(), None
        self.starts.append((spec["image"], self._restore))
        if not behaviour.starts:
            error = json.dumps({"type": "DeploymentFailedException", "message": "Back-off pulling image"})
            return {"lifecycleState": "DEPLOYED", "jobManagerDeploymentStatus": "ERROR", "error": error}
        self.job = Job(job_spec_of(spec), behaviour, event)
        return {
            "lifecycleState": "STABLE",
            "jobManagerDeploymentStatus": "READY",
            "jobStatus": {"state": "RUNNING", "jobId": f"{len(self.starts):032x}"},
        }

    def _behaviour(self, image: str) -> Behaviour:
        return next((each for end, each in self.behaviours.items() if image.endswith(end)), Behaviour())

    def _snapshot(self, found: Values) -> None:
        if (found.get("status") or {}).get("state") == "COMPLETED" or self.job is None:
            return
        asked = found["spec"]["savepoint"]
        assert asked["formatType"] == "NATIVE"
        assert asked["disposeOnDelete"]
        path = f"{asked['path']}/{found['metadata']['name']}"
        self._say(found, {"state": "COMPLETED", "path": path, "failures": 0})

    def _say(self, found: Values, status: Values) -> None:
        self.api.change_status(found, status)


@contextmanager
def operating(place: Place, behaviours: Mapping[str, Behaviour]) -> Iterator[Operator]:
    """At work until the block ends, with its job."""
    with closing(Api(place)) as api:
        operator = Operator(api, behaviours)
        with polling(operator.reconcile):
            yield operator
        if operator.job is not None:
            operator.job.stop()


@contextmanager
def polling(look: Callable[[], None]) -> Iterator[None]:
    """`look` again and again until the block ends, which raises what that raised."""
    ended, failed = threading.Event(), list[BaseException]()

    def looks() -> None:
        while not ended.wait(POLL_S):
            try:
                look()
            except httpx.TransportError:
                continue
            except BaseException as error:  # noqa: BLE001 (it is raised where the block ends)
                traceback.print_exc()
                failed.append(error)
                return

    thread = threading.Thread(target=looks, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if failed:
        raise failed[0]
