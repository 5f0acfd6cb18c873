"""What is read and changed of a `FlinkDeployment` by an upgrade: its specification, and who started it.

The operator's words (release 1.15, reference of custom resources): a job whose ``job.state`` is ``suspended``
is stopped as ``job.upgradeMode`` says; another ``job.savepointRedeployNonce`` starts it from
``job.initialSavepointPath``, whatever ran before, and takes away the operator's own rollback.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from headrace_agents.spec import AgentJobSpec

API_VERSION, KIND = "flink.apache.org/v1beta1", "FlinkDeployment"
GROUP, VERSION = API_VERSION.split("/")
JOB_ANNOTATION, JOB_FILE = "headrace.dev/job", "job.json"
JOB_FOLDER = "/etc/headrace/job"
"""Of the JobManagers' template: the job's specification, which is a file of that name in their pods."""
SNAPSHOT, NONCE = "initialSavepointPath", "savepointRedeployNonce"
OF_THE_MOMENT = frozenset({"state", "upgradeMode", SNAPSHOT, NONCE})
"""Of ``job``: how a version is started and stopped, and not which."""

LAST_STATE_FALLBACK = "kubernetes.operator.job.upgrade.last-state-fallback.enabled"

Spec = dict[str, Any]


def job_spec_of(spec: Mapping[str, Any]) -> AgentJobSpec:
    """Raises ValueError where the deployment's job is none that this runtime knows."""
    try:
        text = spec["jobManager"]["podTemplate"]["metadata"]["annotations"][JOB_ANNOTATION]
    except (KeyError, TypeError):
        raise ValueError(f"the deployment has no {JOB_ANNOTATION}") from None
    return AgentJobSpec.model_validate_json(text)


def digest_of(spec: Mapping[str, Any]) -> str:
    """Hex SHA-256 of a version of the deployment, however it was started."""
    job = {name: value for name, value in spec["job"].items() if name not in OF_THE_MOMENT}
    options = {
        name: value
        for name, value in spec.get("flinkConfiguration", {}).items()
        if name != LAST_STATE_FALLBACK
    }
    version = {**spec, "job": job, "flinkConfiguration": options}
    canonical = json.dumps(_plain(version), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def running(spec: Mapping[str, Any], snapshot: str | None, nonce: int) -> Spec:
    """A version as it is started: from this snapshot, or else as the operator thinks best."""
    start = {SNAPSHOT: snapshot, NONCE: nonce} if snapshot else {}
    job = {name: value for name, value in spec["job"].items() if name not in {SNAPSHOT, NONCE}}
    return {**spec, "job": {**job, "state": "running", **start}}


def suspended(spec: Mapping[str, Any], mode: str) -> Spec:
    """A version as it is stopped: ``savepoint``, or ``stateless`` where nothing goes on from it."""
    # Else the operator stops a job that does not run just then without a savepoint, and names none.
    options = {**spec.get("flinkConfiguration", {}), LAST_STATE_FALLBACK: "false"}
    return {
        **spec,
        "flinkConfiguration": options,
        "job": {**spec["job"], "state": "suspended", "upgradeMode": mode},
    }


def _plain(value: Any) -> Any:
    """A number is one number, whether it was written as 1 or as 1.0."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
