"""An agent on the Flink Kubernetes Operator, as its upgrades know it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from headrace.errors import HeadraceError
from headrace.provider.aws.agents.cluster import Cluster, Conflict, Object, Unreachable
from headrace.provider.aws.agents.deployment import (
    API_VERSION,
    KIND,
    Spec,
    digest_of,
    running,
    suspended,
)
from headrace.provider.aws.agents.history import ConfigMapHistory
from headrace.provider.aws.agents.inputs import AgentUpgradeInputs
from headrace.provider.aws.agents.pods import AgentPods, now_ms
from headrace.provider.aws.agents.topics import PodTopics, offsets
from headrace.upgrades.proof import proven
from headrace.upgrades.record import Cutover
from headrace.upgrades.substrate import Tell
from headrace.waiting import WaitCancelled, WaitEnded, wait_until
from headrace_agents.upgrades.told import Seen

REACH_S = 60
SAVEPOINT_S = 900
STOP_S = 900
RUNNING_S = 900
"""Nodes may have to be made, and an image pulled."""
COMES_UP_S = 300
TRIES = 10
WATCH_S = 1800
"""Of one pod; what watches longer does so by the next."""
PROOF_OF = "headrace.dev/proof-of"
"""Label of a snapshot: the agent."""
PROOFS = "_proofs"
"""Folder for savepoints that nothing goes on from."""
SUSPENDED, UP = "SUSPENDED", ("DEPLOYED", "STABLE")
BROKEN = ("FAILED", "ROLLED_BACK", "ROLLING_BACK")
"""Lifecycle states in which the operator has given a version up."""


class AgentPlace:
    """:class:`headrace.upgrades.substrate.Substrate` of a `FlinkDeployment` that is there.

    Each change takes the whole specification's place, so that nothing of another version is left in it.
    """

    def __init__(self, inputs: AgentUpgradeInputs, tell: Tell) -> None:
        self._inputs, self._tell = inputs, tell
        self._cluster = Cluster(inputs.kubeconfig, inputs.namespace)
        self._pods = AgentPods(self._cluster, inputs)
        self.history = ConfigMapHistory(self._cluster, inputs.name)
        self.topics = PodTopics(self._pods)

    def recorded(self, inputs: Mapping[str, Any]) -> AgentUpgradeInputs:
        return AgentUpgradeInputs.model_validate(inputs)

    def reach(self) -> None:
        wait_until("the cluster's API", lambda: self._looked() is not None, REACH_S)

    def deployment(self) -> Object | None:
        """None where there is none yet."""
        return self._cluster.deployment(self._inputs.name)

    def is_up(self) -> bool:
        """Whether there is a job that could make a savepoint."""
        found = self.deployment()
        return found is not None and _job_state(found) == "RUNNING" and _lifecycle(found) in UP

    def comes_up(self) -> bool:
        """Whether it is up, or is within minutes: a job whose node was lost is started again."""
        try:
            self._wait_for(
                "the job up", lambda found: _lifecycle(found) in BROKEN or self.is_up(), COMES_UP_S
            )
        except WaitCancelled:
            raise
        except HeadraceError as error:
            self._tell(str(error))
        return self.is_up()

    def has_job(self) -> bool:
        found = self.deployment()
        return found is not None and found["spec"]["job"].get("state") != "suspended"

    def running(self) -> str | None:
        found = self.deployment()
        if found is None or found["spec"]["job"].get("state") == "suspended":
            return None
        return digest_of(found["spec"])

    def prove(self, new: AgentUpgradeInputs) -> dict[str, Any]:
        """In a pod of the new image, on a native savepoint of the running job.

        Raises:
            HeadraceError: the job makes none.
        """
        name, labels = f"{new.name}-proof-{now_ms()}", {PROOF_OF: new.name}
        for left in self._cluster.snapshots(labels):  # by an upgrade that was killed
            self._cluster.remove_snapshot(left)
        self._tell("the running job makes a savepoint to prove the new version on")
        folder = new.spec["flinkConfiguration"]["execution.checkpointing.savepoint-dir"]
        self._cluster.make_snapshot(
            {
                "apiVersion": API_VERSION,
                "kind": "FlinkStateSnapshot",
                "metadata": {"name": name, "labels": labels},
                "spec": {
                    "backoffLimit": 1,
                    "jobReference": {"kind": KIND, "name": new.name},
                    "savepoint": {
                        "formatType": "NATIVE",
                        "disposeOnDelete": True,
                        "path": f"{folder}/{PROOFS}",
                    },
                },
            }
        )
        try:
            savepoint = wait_until("the savepoint", lambda: self._completed(name), SAVEPOINT_S)
            self._tell(f"proving the new version on {savepoint}")
            report = self._pods.verify(new.job_spec, savepoint)
        finally:
            self._cluster.remove_snapshot(name)
        return proven(new.name, report)

    def _completed(self, name: str) -> str | None:
        found = self._cluster.snapshot(name) or {}
        status = found.get("status") or {}
        if status.get("state") in ("FAILED", "ABANDONED"):
            raise HeadraceError(
                f"agent {self._inputs.name} makes no savepoint, so nothing was proved or changed:"
                f" {status.get('error') or 'the operator does not say why'}"
            )
        return status.get("path") if status.get("state") == "COMPLETED" else None

    @contextmanager
    def starting(self, version: AgentUpgradeInputs) -> Iterator[_Start]:
        yield _Start(self, version)

    def stop(self) -> None:
        """Raises:
        HeadraceError: the job made no savepoint; it was started again.
        """
        found = self._found()
        before = _savepoint(found)
        was_stopped = found["spec"]["job"].get("state") == "suspended"
        if not was_stopped:
            self._tell("stopping the job with a savepoint")
            self.change(suspended(found["spec"], "savepoint"))
        try:
            self._wait_for("the job stopped", _is_suspended, STOP_S)
            if not was_stopped:
                self._refuse_no_savepoint(before)
        except WaitCancelled:
            raise
        except HeadraceError as error:
            self.change({**found["spec"], "job": {**found["spec"]["job"], "state": "running"}})
            raise HeadraceError(
                f"agent {self._inputs.name} can't be stopped with a savepoint; its job goes on: {error}"
            ) from error

    def _refuse_no_savepoint(self, before: str | None) -> None:
        if _savepoint(self._found()) in (None, before):
            raise HeadraceError("the operator stopped it without a savepoint")

    def newest_snapshot(self) -> str | None:
        return _savepoint(self._found())

    def undo(self, digest: str) -> None:
        found = self._found()
        if digest_of(found["spec"]) != digest:
            return
        if found["spec"]["job"].get("state") != "suspended":
            self.change(suspended(found["spec"], "stateless"))
        self._wait_for("the undone job's end", _is_suspended, STOP_S)

    def wait_until_running(self, most_failures: int | None = None) -> None:  # noqa: ARG002
        """The operator itself tells what it has given up."""
        self._wait_for(f"agent {self._inputs.name} running", self._runs, RUNNING_S)

    def _runs(self, found: Object) -> bool:
        """Raises HeadraceError where the operator has given it up."""
        broken = _lifecycle(found) in BROKEN or _status(found).get("jobManagerDeploymentStatus") == "ERROR"
        if broken:
            raise HeadraceError(f"the operator says {_lifecycle(found)}: {_error(found)}")
        return _lifecycle(found) in UP and _job_state(found) == "RUNNING"

    @contextmanager
    def watched(self, version: AgentUpgradeInputs, cutover: Cutover) -> Iterator[Callable[[], Seen | None]]:
        flink = f"http://{version.name}-rest.{version.namespace}:{version.rest_port}"
        where = {"outcomes": offsets(cutover.outcomes), "runs": offsets(cutover.runs), "flink": flink}
        with self._pods.asking(version.job_spec, WATCH_S, "watch", **where) as look:

            def seen() -> Seen | None:
                found = look()
                return None if found is None else Seen.model_validate(found)

            yield seen

    def change(self, spec: Spec) -> None:
        """Raises HeadraceError where somebody else changes its specification at the same time."""
        found = self._found()
        for _ in range(TRIES):
            try:
                self._cluster.replace_deployment({**found, "spec": spec})
            except Conflict:
                # The operator writes its status, which moves the object's version too.
                again = self._found()
                if again["spec"] != found["spec"]:
                    raise
                found = again
            else:
                return
        raise HeadraceError(f"agent {self._inputs.name}: its deployment does not hold still to be changed")

    def _found(self) -> Object:
        found = self.deployment()
        if found is None:
            raise HeadraceError(f"agent {self._inputs.name}: its deployment is gone from the cluster")
        return found

    def _looked(self) -> Object | None:
        try:
            return self.deployment() or {}
        except Unreachable:
            return None

    def _wait_for(self, what: str, condition: Callable[[Object], bool], timeout_s: float) -> None:
        """Until the operator has looked at what was changed, and this is so."""

        def fulfilled() -> bool:
            found = self._looked()
            if not found or _status(found).get("observedGeneration", 0) < found["metadata"]["generation"]:
                return False
            return condition(found)

        try:
            wait_until(what, fulfilled, timeout_s)
        except WaitEnded as error:
            found = self._looked() or {}
            raise WaitEnded(f"{error}; the operator says {_lifecycle(found)}: {_error(found)}") from error


class _Start:
    def __init__(self, place: AgentPlace, version: AgentUpgradeInputs) -> None:
        self._place, self._version = place, version

    def wait_until_ready(self) -> None:
        """Its image was asked already; the operator makes all else when it is told."""

    def go(self, snapshot: str | None) -> None:
        self._place.change(running(self._version.spec, snapshot, now_ms()))


def _status(found: Object) -> Object:
    return found.get("status") or {}


def _lifecycle(found: Object) -> str:
    return str(_status(found).get("lifecycleState"))


def _job_state(found: Object) -> str | None:
    return (_status(found).get("jobStatus") or {}).get("state")


def _savepoint(found: Object) -> str | None:
    """That the operator stopped the job with last; None where it named no place."""
    path = (_status(found).get("jobStatus") or {}).get("upgradeSavepointPath")
    return path if path and "://" in path else None


def _is_suspended(found: Object) -> bool:
    return _lifecycle(found) == SUSPENDED


def _error(found: Object) -> str:
    """The operator's word on what is wrong, which is JSON with a message."""
    told = str(_status(found).get("error") or "it does not say why")
    try:
        return str(json.loads(told)["message"])
    except (ValueError, LookupError, TypeError, ValidationError):
        return told
