"""What of a stack is named within its cluster: namespaces, nodes and what they run."""

from __future__ import annotations

from headrace.environment.model import Environment
from headrace.plan.because import Because, because

OPERATOR_NAMESPACE, AGENTS_NAMESPACE, COLLECTOR_NAMESPACE = "flink-operator", "flink", "observability"
COLLECTOR = "collector"
COLLECTOR_PODS = {"app.kubernetes.io/name": COLLECTOR}
SLOT_WATCH = "slot-watch"
OTLP_PORT = 4317
"""OpenTelemetry's own, of gRPC."""
NODE_CLASS = "headrace"
JOBMANAGERS, TASKMANAGERS = "jobmanagers", "taskmanagers"
"""Pools of nodes, by what runs on them."""


def named(environment: Environment, name: str, reason: str) -> Because[str]:
    """`name`; in a cluster that is there, which others have names in, behind the environment's own."""
    existing = environment.aws.cluster.existing
    if existing is None:
        return because(name, reason)
    return because(
        f"{environment.name}-{name}",
        f"{reason}; named after the environment, as {existing} is not its own",
    )


def collector_endpoint(namespace: str) -> str:
    """For OTLP over gRPC, from any pod: the collector on its own node answers."""
    return f"http://{COLLECTOR}.{namespace}.svc:{OTLP_PORT}"
