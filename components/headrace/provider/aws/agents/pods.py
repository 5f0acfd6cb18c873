"""The agents' image asked in a pod of the agent's: brokers and Flink are reached from there alone.

A pod is a Kubernetes Job's, and says what it found in its log (:mod:`headrace_agents.upgrade_command`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import yaml
from pydantic import ValidationError

from headrace.errors import HeadraceError
from headrace.provider.aws.agents.cluster import Cluster, Object, Unreachable
from headrace.provider.aws.agents.deployment import JOB_ANNOTATION, JOB_FILE, JOB_FOLDER
from headrace.provider.aws.agents.inputs import AgentUpgradeInputs
from headrace.waiting import wait_until
from headrace_agents.spec import AgentJobSpec
from headrace_agents.upgrades.answers import ANSWER, ERROR
from headrace_agents.verification import Report
from headrace_agents.verify_command import NOT_VERIFIED

LABELS = {"component": "upgrade"}
"""Of the pods, beside Flink's own of the agent, by which network policies know it."""
FLINK_ANNOTATION = "headrace.dev/flink"
"""Configuration of the Flink in a verification's pod, which is a file there."""
SPEC = f"--spec={JOB_FOLDER}/{JOB_FILE}"
START_S = 600
"""A node may have to be made."""
KEPT_S = 3600
"""What nobody removed, as the command was killed."""
LINES = 2000
"""Of a log, that an answer is looked for in."""
NEVER = frozenset({"ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"})
"""Why a container waits for nothing that comes by itself."""
VERIFICATION = {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "2Gi"}}
VERIFY_S = 1800
ENDED = ("Succeeded", "Failed")


class AgentPods:
    def __init__(self, cluster: Cluster, inputs: AgentUpgradeInputs) -> None:
        """`inputs`: whose image is asked, and how its pods are."""
        self._cluster, self._inputs = cluster, inputs

    def ask(self, spec: AgentJobSpec, timeout_s: float, step: str, **arguments: str) -> Any:
        """The one answer of a step of ``headrace-agents upgrade``.

        Raises:
            HeadraceError: there is none; why.
        """
        with self._job(spec, timeout_s, _step(step, arguments)) as job:
            wait_until(f"an answer of {job}", lambda: self._ended(job), START_S + timeout_s)
            return _answer(job, self._said(job))[1]

    @contextmanager
    def asking(
        self, spec: AgentJobSpec, timeout_s: float, step: str, **arguments: str
    ) -> Iterator[Callable[[], Any]]:
        """Looks at the newest answer of a step that gives one after the other; None: it is not a new one.

        A pod that has ended, with its node or by itself, is followed by another.
        """
        with ExitStack() as stack:
            job, seen, has_run = "", "", False

            def begin() -> None:
                nonlocal job, has_run
                has_run = False
                job = stack.enter_context(self._job(spec, timeout_s, _step(step, arguments)))
                wait_until(f"an answer of {job}", lambda: self._said(job), START_S)

            def look() -> Any:
                nonlocal seen, has_run
                # A pod that is gone with its node, or at its job's end, is followed by none of the same job.
                if self._ended(job) or (has_run and self._is_gone(job)):
                    begin()
                has_run = True
                at, found = _answer(job, self._said(job))
                if at == seen:
                    return None
                seen = at
                return found

            begin()
            yield look

    def verify(self, spec: AgentJobSpec, savepoint: str) -> Report:
        """By ``headrace-agents verify``.

        Raises:
            HeadraceError: the savepoint could not be read by Flink.
        """
        command = ["verify", SPEC, f"--savepoint={savepoint}"]
        with self._job(spec, VERIFY_S, command, resources=VERIFICATION) as job:
            wait_until(f"the verification {job}", lambda: self._ended(job), START_S + VERIFY_S)
            lines = [said for _, said in self._said(job)]
        # It is what is said last, and begins a line.
        with suppress(ValueError, ValidationError):
            begin = len(lines) - 1 - lines[::-1].index("{")
            return Report.model_validate_json("\n".join(lines[begin:]))
        _, found, why = "\n".join(lines).rpartition(NOT_VERIFIED)
        told = why if found else "\n".join(lines[-20:])
        raise HeadraceError(
            f"agent {self._inputs.name}: {savepoint} can't be verified; nothing was changed:\n{told}"
        )

    @contextmanager
    def _job(
        self,
        spec: AgentJobSpec,
        timeout_s: float,
        command: Sequence[str],
        *,
        resources: Mapping[str, Any] | None = None,
    ) -> Iterator[str]:
        name = self._cluster.make_job(_job(self._inputs, spec, command, START_S + timeout_s, resources))
        try:
            yield name
        finally:
            # Where it can't be removed, it goes by itself.
            with suppress(HeadraceError):
                self._cluster.remove_job(name)

    def _pod(self, job: str) -> Object | None:
        """The newest. Raises HeadraceError where it will never run."""
        with suppress(Unreachable):
            for pod in self._cluster.pods_of(job):
                _refuse_stuck(job, pod)
                return pod
        return None

    def _ended(self, job: str) -> bool:
        pod = self._pod(job)
        return pod is not None and _phase(pod) in ENDED

    def _is_gone(self, job: str) -> bool:
        """Raises Unreachable where that can't be told."""
        return not self._cluster.pods_of(job)

    def _said(self, job: str) -> list[tuple[str, str]]:
        """Lines and when they were said, the latest last; none before it runs."""
        pod = self._pod(job)
        if pod is None or _phase(pod) not in ("Running", *ENDED):
            return []
        lines = (line.partition(" ") for line in self._cluster.log(pod["metadata"]["name"], LINES))
        return [(at, said) for at, _, said in lines]


def _answer(job: str, lines: Sequence[tuple[str, str]]) -> tuple[str, Any]:
    """The latest, and when it was said.

    Raises:
        HeadraceError: there is none.
    """
    for at, said in reversed(lines):
        try:
            found = json.loads(said)
        except ValueError:
            continue
        if isinstance(found, dict) and ERROR in found:
            raise HeadraceError(f"{job}: {found[ERROR]}")
        if isinstance(found, dict) and ANSWER in found:
            return at, found[ANSWER]
    told = "\n".join(said for _, said in lines[-10:]) or "nothing was said"
    raise HeadraceError(f"{job} gave no answer:\n{told}")


def _refuse_stuck(job: str, pod: Object) -> None:
    for container in (pod.get("status") or {}).get("containerStatuses", ()):
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason") in NEVER:
            raise HeadraceError(
                f"{job} does not start: {waiting['reason']} {waiting.get('message', '')}"
                f" (image {container['image']})"
            )


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase"))


def _step(step: str, arguments: Mapping[str, str]) -> list[str]:
    return ["upgrade", SPEC, *(f"--{name}={value}" for name, value in arguments.items()), step]


def _job(
    inputs: AgentUpgradeInputs,
    spec: AgentJobSpec,
    command: Sequence[str],
    deadline_s: float,
    resources: Mapping[str, Any] | None,
) -> Object:
    pod = inputs.pod_spec
    (container,) = pod["containers"]
    asked = {**container, "image": inputs.image, "args": [*container["args"], *command]}
    if resources:
        asked["resources"] = dict(resources)
    labels = {"app": inputs.name, **LABELS}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": f"{inputs.name}-{command[0]}-", "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(deadline_s),
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {
                        JOB_ANNOTATION: spec.model_dump_json(),
                        FLINK_ANNOTATION: _flink_configuration(inputs),
                    },
                },
                "spec": {**pod, "containers": [asked], "restartPolicy": "Never"},
            },
        },
    }


def _flink_configuration(inputs: AgentUpgradeInputs) -> str:
    """How files are read: as the job's own Flink does it."""
    options = inputs.spec["flinkConfiguration"]
    kept = {name: str(value) for name, value in options.items() if name.startswith(("s3.", "fs."))}
    return str(yaml.safe_dump(kept))


def now_ms() -> int:
    return time.time_ns() // 1_000_000
