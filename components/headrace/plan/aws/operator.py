"""The Flink Kubernetes Operator, and what it does to a job over its life.

Names and defaults of options are those of the operator's documentation (operations, configuration).
"""

from __future__ import annotations

from headrace.environment.model import Agent, Environment
from headrace.environment.units import SECOND_MS
from headrace.plan.aws.cluster_names import JOBMANAGERS, named
from headrace.plan.aws.model import OperatorPlan
from headrace.plan.because import Because, because, build, merged, settings
from headrace.plan.checkpoints import checkpoints
from headrace.plan.savepoints import savepoints

REPLICAS = 2
OPERATOR_CPU, OPERATOR_MIB = 0.5, 1024
OPERATOR_METRICS_PORT = 9999
LEASE = "headrace-flink-operator"
NODE_START_MS = 120 * SECOND_MS
"""Until a pod that needs a new node runs: EKS Auto Mode starts the node and pulls the image."""
NODES_IN_TURN = 2
"""A JobManager's node, then its TaskManagers'."""


def operator(environment: Environment) -> Because[OperatorPlan]:
    """Its pods, its own options, and what holds for any deployment that says nothing else."""
    return build(
        OperatorPlan,
        chart=because(environment.aws.operator.chart, "declared as substrate.operator.chart"),
        image=because(environment.aws.operator.image, "declared as substrate.operator.image"),
        replicas=because(REPLICAS, f"{REPLICAS}: the second leads when the first's node goes"),
        cpu=because(OPERATOR_CPU, f"{OPERATOR_CPU:g} vCPU: it looks at each job now and then"),
        memory_mib=because(OPERATOR_MIB, f"{OPERATOR_MIB} MiB: a JVM with a client for each job"),
        metrics_port=because(OPERATOR_METRICS_PORT, f"{OPERATOR_METRICS_PORT}, as in its documentation"),
        node_pool=named(environment, JOBMANAGERS, "0 on spot there: without it no job is mended"),
        configuration=merged(_own_options(), life_options(environment)),
    )


def life_options(environment: Environment) -> Because[dict[str, str]]:
    """Savepoints, upgrades, rollback and repair of a job, whatever its agent."""
    recovery, rhythm, kept = environment.recovery, checkpoints(environment).value, environment.savepoints
    unseen_ms = recovery.max_outage.milliseconds + rhythm.timeout_ms
    ready_ms = NODES_IN_TURN * NODE_START_MS + recovery.max_recovery.milliseconds
    history = savepoints(kept).value
    periodic: dict[str, tuple[str, str]] = {}
    if history.interval_ms is not None:
        periodic = {
            "kubernetes.operator.periodic.savepoint.interval": (
                f"{history.interval_ms} ms",
                f"declared as savepoints.interval {kept.interval}",
            )
        }
    return settings(
        {
            "kubernetes.operator.job.savepoint-on-deletion": (
                True,
                "a deployment's pointer to its checkpoints goes with it: 1 savepoint is left to go on from",
            ),
            "kubernetes.operator.savepoint.format.type": (
                "NATIVE",
                "RocksDB's own files, of which 0 are converted: a stop takes seconds",
            ),
            "kubernetes.operator.savepoint.history.max.count": (
                history.history_count,
                f"the plan's history of {history.history_count} savepoints",
            ),
            "kubernetes.operator.savepoint.history.max.age": (
                f"{history.history_age_ms} ms",
                f"the plan's age of {history.history_age_ms} ms",
            ),
            **periodic,
            "kubernetes.operator.job.upgrade.last-state.max.allowed.checkpoint.age": (
                f"{recovery.max_replay.milliseconds} ms",
                f"max_replay {recovery.max_replay}: an upgrade reads no more again than a failure may",
            ),
            "kubernetes.operator.deployment.rollback.enabled": (
                True,
                "an upgrade that does not run goes back by itself: 0 hands needed",
            ),
            "kubernetes.operator.deployment.readiness.timeout": (
                f"{ready_ms} ms",
                f"{NODES_IN_TURN} new nodes of {NODE_START_MS} ms + max_recovery {recovery.max_recovery}",
            ),
            "kubernetes.operator.cluster.health-check.enabled": (
                True,
                "a job that runs and does nothing is started again: 0 hands needed",
            ),
            "kubernetes.operator.cluster.health-check.checkpoint-progress.enabled": (
                True,
                "0 checkpoints for long is how such a job is told",
            ),
            "kubernetes.operator.cluster.health-check.checkpoint-progress.window": (
                f"{unseen_ms} ms",
                f"max_outage {recovery.max_outage} + {rhythm.timeout_ms} ms of a checkpoint, in all",
            ),
            "kubernetes.operator.job.restart.failed": (
                True,
                "a job that gave up goes on from its newest checkpoint: 0 hands needed",
            ),
        }
    )


def autoscaler_options(environment: Environment, agent: Agent) -> Because[dict[str, str]]:
    """The operator's autoscaler, kept within the declared parallelism."""
    least, most = agent.scaling.parallelism_min, agent.scaling.parallelism_max
    recovery = environment.recovery.max_recovery
    return settings(
        {
            "job.autoscaler.enabled": (
                most > least,
                f"parallelism_min {least} to parallelism_max {most}: whether there is a choice",
            ),
            "job.autoscaler.vertex.min-parallelism": (least, f"declared as scaling.parallelism_min {least}"),
            "job.autoscaler.vertex.max-parallelism": (most, f"declared as scaling.parallelism_max {most}"),
            "job.autoscaler.scaling.effectiveness.detection.enabled": (
                True,
                "it knows busy time and 0 limits of models: what did not help is not done again",
            ),
            "job.autoscaler.restart.time": (
                f"{recovery.milliseconds} ms",
                f"max_recovery {recovery}, until it has measured one",
            ),
        }
    )


def _own_options() -> Because[dict[str, str]]:
    return settings(
        {
            "kubernetes.operator.leader-election.enabled": (
                True,
                f"{REPLICAS} replicas: 1 leads, so that none undoes what another does",
            ),
            "kubernetes.operator.leader-election.lease-name": (LEASE, "1 lease in the operator's namespace"),
            "kubernetes.operator.metrics.reporter.prom.factory.class": (
                "org.apache.flink.metrics.prometheus.PrometheusReporterFactory",
                "1 reporter, for Prometheus, as jobs have",
            ),
            "kubernetes.operator.metrics.reporter.prom.port": (
                OPERATOR_METRICS_PORT,
                f"{OPERATOR_METRICS_PORT}, the port that its pods open",
            ),
        }
    )
