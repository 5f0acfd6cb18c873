"""What the Flink Kubernetes Operator reads beside Flink: none of it is in a jar that tests reach.

Names are those of its documentation: its options ("dynamic" and "autoscaler"), and the pages on the
autoscaler and on the deletion of a deployment.
"""

from __future__ import annotations

PREFIXES = ("kubernetes.operator.", "job.autoscaler.")

DOCUMENTED = frozenset(
    {
        "job.autoscaler.catch-up.duration",
        "job.autoscaler.enabled",
        "job.autoscaler.restart.time",
        "job.autoscaler.scale-down.interval",
        "job.autoscaler.scaling.effectiveness.detection.enabled",
        "job.autoscaler.stabilization.interval",
        "job.autoscaler.utilization.max",
        "job.autoscaler.utilization.min",
        "job.autoscaler.utilization.target",
        "job.autoscaler.vertex.max-parallelism",
        "job.autoscaler.vertex.min-parallelism",
        "kubernetes.operator.cluster.health-check.checkpoint-progress.enabled",
        "kubernetes.operator.cluster.health-check.checkpoint-progress.window",
        "kubernetes.operator.cluster.health-check.enabled",
        "kubernetes.operator.deployment.readiness.timeout",
        "kubernetes.operator.deployment.rollback.enabled",
        "kubernetes.operator.job.restart.failed",
        "kubernetes.operator.job.savepoint-on-deletion",
        "kubernetes.operator.job.upgrade.last-state.max.allowed.checkpoint.age",
        "kubernetes.operator.periodic.savepoint.interval",
        "kubernetes.operator.savepoint.format.type",
        "kubernetes.operator.savepoint.history.max.age",
        "kubernetes.operator.savepoint.history.max.count",
    }
)
"""Those that a plan may set."""


def is_of_the_operator(key: str) -> bool:
    return key.startswith(PREFIXES)
