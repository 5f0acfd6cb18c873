"""The pod in which the agents' image is asked beside an agent's job, by its upgrades."""

from __future__ import annotations

from typing import Any

import pulumi

from headrace.aws.flink_image import PYTHON, SCRATCH, TMP, USER
from headrace.aws.pods import SECURED, on_nodes_of, restricted
from headrace.plan.aws.model import DeploymentPlan
from headrace.provider.aws.agents.deployment import JOB_ANNOTATION, JOB_FILE, JOB_FOLDER
from headrace.provider.aws.agents.pods import FLINK_ANNOTATION

RESOURCES = {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}}
"""To read topics; a verification takes more."""
TMP_GIB = 1


def upgrade_pod(plan: DeploymentPlan, service_account: pulumi.Input[str]) -> dict[str, Any]:
    """Its ``spec``, but for the image and what is asked: who the agent is, on nodes that stay."""
    files = [(JOB_FILE, JOB_ANNOTATION), ("config.yaml", FLINK_ANNOTATION)]
    items = [
        {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}
        for path, annotation in files
    ]
    return {
        **on_nodes_of(plan.pods.jobmanager_pool),
        "serviceAccountName": service_account,
        # It asks Kubernetes nothing.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": restricted(USER),
        "containers": [
            {
                "name": "headrace-agents",
                "args": [PYTHON, "-m", "headrace_agents"],
                "env": [
                    {"name": "HOME", "value": TMP},
                    # The restored state of a verification.
                    {"name": "TMPDIR", "value": SCRATCH},
                    {"name": "FLINK_CONF_DIR", "value": JOB_FOLDER},
                ],
                "resources": RESOURCES,
                "securityContext": dict(SECURED),
                "volumeMounts": [
                    {"name": "job", "mountPath": JOB_FOLDER, "readOnly": True},
                    {"name": "scratch", "mountPath": SCRATCH},
                    {"name": "tmp", "mountPath": TMP},
                ],
            }
        ],
        "volumes": [
            {"name": "job", "downwardAPI": {"items": items}},
            {"name": "scratch", "emptyDir": {"sizeLimit": f"{plan.pods.disk_gib}Gi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": f"{TMP_GIB}Gi"}},
        ],
    }
