"""A `FlinkDeployment` as the operator takes it: what is said here is how, and how much is the plan's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from headrace.aws.flink_image import (
    DECLARED_AS,
    JOB_MODULE,
    LOG4J,
    LOGS,
    MAIN_CONTAINER,
    PYTHON,
    PYTHON_DRIVER,
    PYTHON_JAR,
    SCRATCH,
    SECRETS_FOLDER,
    TMP,
    USER,
)
from headrace.aws.flink_operator import SecretKey
from headrace.aws.pods import CAPACITY, HOST, SECURED, ZONE, on_nodes_of, restricted, spread
from headrace.plan.aws.model import DeploymentPlan
from headrace.plan.model import AgentPlan
from headrace.plan.state_storage import CHECKPOINTS, HIGH_AVAILABILITY, SAVEPOINTS
from headrace.provider.aws.agents.deployment import JOB_ANNOTATION, JOB_FILE, JOB_FOLDER

MODEL_KEY_FILE = "model-key"
TMP_GIB = 1
JOBMANAGER, TASKMANAGER = "jobmanager", "taskmanager"


@dataclass(frozen=True, kw_only=True)
class DeploymentPlace:
    """What the plan can't know: who the pods are, and where their files are."""

    image: pulumi.Input[str]
    service_account: pulumi.Input[str]
    buckets: Mapping[str, pulumi.Input[str]]
    job: pulumi.Input[str]
    """The job's specification, as JSON."""
    model_key: SecretKey | None


def flink_deployment(plan: DeploymentPlan, agent: AgentPlan, place: DeploymentPlace) -> dict[str, Any]:
    """Its ``spec``."""
    pods, flink = plan.pods, plan.flink
    return {
        "image": place.image,
        "imagePullPolicy": "IfNotPresent",
        "flinkVersion": DECLARED_AS,
        "mode": "native",
        "serviceAccount": place.service_account,
        "flinkConfiguration": {
            **flink.configuration,
            **agent.spec.flink_configuration,
            **storage_options(agent.name, place.buckets),
            **IN_THE_IMAGE,
        },
        "logConfiguration": {"log4j-console.properties": LOG4J},
        "jobManager": {
            "replicas": pods.jobmanager_replicas,
            "resource": _resource(
                pods.jobmanager_cpu, flink.jobmanager.process_mib, pods.jobmanager_disk_gib
            ),
            "podTemplate": _jobmanager(plan, place),
        },
        "taskManager": {
            "resource": _resource(pods.taskmanager_cpu, flink.taskmanager.process_mib, pods.disk_gib),
            "podTemplate": _taskmanager(plan, place),
        },
        "job": {
            "jarURI": PYTHON_JAR,
            "entryClass": PYTHON_DRIVER,
            "args": ["-pym", JOB_MODULE, "--spec", f"{JOB_FOLDER}/{JOB_FILE}"],
            "parallelism": agent.spec.parallelism,
            "state": "running",
            "upgradeMode": plan.upgrade_mode,
            "allowNonRestoredState": False,
        },
    }


IN_THE_IMAGE: Mapping[str, str] = {
    "io.tmp.dirs": SCRATCH,
    "python.client.executable": PYTHON,
    "python.executable": PYTHON,
}


def storage_options(agent: str, buckets: Mapping[str, pulumi.Input[str]]) -> dict[str, pulumi.Input[str]]:
    """Where an agent's state is: a folder of its own in each bucket."""
    kept = {
        "execution.checkpointing.dir": CHECKPOINTS,
        "execution.checkpointing.savepoint-dir": SAVEPOINTS,
        "high-availability.storageDir": HIGH_AVAILABILITY,
    }
    return {
        option: pulumi.Output.concat("s3://", buckets[bucket], "/", agent) for option, bucket in kept.items()
    }


def labels(agent: str, component: str | None = None) -> dict[str, str]:
    """Flink's own of an agent's pods, or of one kind of them."""
    return {"app": agent, **({"component": component} if component else {})}


def model_key_file() -> str:
    """Where a TaskManager has the key of the agent's model."""
    return f"{SECRETS_FOLDER}/{MODEL_KEY_FILE}"


def _resource(cpu: float, mib: int, disk_gib: int) -> dict[str, Any]:
    # The disk is a volume of the pod's, and so are its logs and `/tmp`.
    return {"cpu": cpu, "memory": f"{mib}m", "ephemeralStorage": f"{disk_gib + 2 * TMP_GIB}Gi"}


def _jobmanager(plan: DeploymentPlan, place: DeploymentPlace) -> dict[str, Any]:
    ours = labels(plan.name, JOBMANAGER)
    # In the pod's own template, so that a rollback takes the specification back with all else.
    job = {
        "name": "job",
        "downwardAPI": {
            "items": [
                {
                    "path": JOB_FILE,
                    "fieldRef": {"fieldPath": f"metadata.annotations['{JOB_ANNOTATION}']"},
                }
            ]
        },
    }
    template = _pod(
        pool=plan.pods.jobmanager_pool,
        spreads=[spread(ZONE, ours, must=True), spread(HOST, ours, must=True)],
        disk_gib=plan.pods.jobmanager_disk_gib,
        grace_s=plan.pods.termination_grace_s,
        more={"job": (JOB_FOLDER, job)},
    )
    return {"metadata": {"annotations": {JOB_ANNOTATION: place.job}}, **template}


def _taskmanager(plan: DeploymentPlan, place: DeploymentPlace) -> dict[str, Any]:
    ours = labels(plan.name, TASKMANAGER)
    more: dict[str, tuple[str, Mapping[str, Any]]] = {}
    if key := place.model_key:
        secret = {
            "secretName": key.secret,
            "items": [{"key": key.key, "path": MODEL_KEY_FILE}],
            "defaultMode": 0o440,
        }
        more["model-key"] = (SECRETS_FOLDER, {"name": "model-key", "secret": secret})
    return _pod(
        pool=plan.pods.taskmanager_pool,
        # Where a zone or a kind of capacity has none to give, two together are better than none.
        spreads=[spread(over, ours, must=False) for over in (ZONE, CAPACITY, HOST)],
        disk_gib=plan.pods.disk_gib,
        grace_s=plan.pods.termination_grace_s,
        more=more,
        lifecycle={"preStop": {"sleep": {"seconds": plan.pods.pre_stop_s}}},
    )


def _pod(
    *,
    pool: str,
    spreads: Sequence[Mapping[str, Any]],
    disk_gib: int,
    grace_s: int,
    more: Mapping[str, tuple[str, Mapping[str, Any]]],
    lifecycle: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A pod template; `more` has the places and volumes that only some pods have."""
    volumes: dict[str, tuple[str, Mapping[str, Any]]] = {
        "scratch": (SCRATCH, _empty("scratch", disk_gib)),
        "logs": (LOGS, _empty("logs", TMP_GIB)),
        "tmp": (TMP, _empty("tmp", TMP_GIB)),
        **more,
    }
    read_only = {"readOnly": True}
    container: dict[str, Any] = {
        "name": MAIN_CONTAINER,
        "securityContext": dict(SECURED),
        "env": [{"name": "HOME", "value": TMP}],
        "volumeMounts": [
            {"name": name, "mountPath": path, **(read_only if name in more else {})}
            for name, (path, _volume) in volumes.items()
        ],
    }
    if lifecycle:
        container["lifecycle"] = lifecycle
    return {
        "spec": {
            **on_nodes_of(pool),
            "securityContext": restricted(USER),
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": grace_s,
            "topologySpreadConstraints": list(spreads),
            "containers": [container],
            "volumes": [volume for _path, volume in volumes.values()],
        }
    }


def _empty(name: str, gib: int) -> dict[str, Any]:
    return {"name": name, "emptyDir": {"sizeLimit": f"{gib}Gi"}}
