"""The cluster's node pools: instance families and how much may be on spot."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headrace.environment.model import Environment
from headrace.environment.units import GIB, MIB
from headrace.plan.aws.cluster_names import (
    AGENTS_NAMESPACE,
    COLLECTOR_NAMESPACE,
    JOBMANAGERS,
    NODE_CLASS,
    OPERATOR_NAMESPACE,
    TASKMANAGERS,
    named,
)
from headrace.plan.aws.flink import spare_taskmanagers
from headrace.plan.aws.model import (
    ClusterPlan,
    DeploymentPlan,
    NamespacePlan,
    NodePoolPlan,
    OperatorPlan,
)
from headrace.plan.aws.operator import NODE_START_MS
from headrace.plan.because import Because, because, build, sequence

MIB_PER_GIB = GIB // MIB
FAMILIES = {"c": 2, "m": 4, "r": 8}
"""GiB of memory for each vCPU: compute, general, memory."""
ARCHITECTURE = "amd64"
LIMIT_TO_NEED = 2
"""A pool may grow to so much: pods of an upgrade run beside those that they replace."""


def cluster(
    environment: Environment, deployments: Sequence[DeploymentPlan], operator: OperatorPlan
) -> Because[ClusterPlan]:
    """A new one, or the one that is there; its endpoint, who uses it, node pools, and namespaces."""
    endpoint, access = environment.aws.endpoint, environment.aws.access
    existing = environment.aws.cluster.existing
    pools = sequence(
        (_jobmanagers(environment, deployments, operator), _taskmanagers(environment, deployments))
    )
    return build(
        ClusterPlan,
        existing=because(
            existing,
            f"declared as substrate.cluster.existing: {existing} is there, and stays as it is"
            if existing
            else "0 clusters are declared: one is made",
        ),
        endpoint_private=because(
            endpoint.access == "private", f"declared as substrate.endpoint.access {endpoint.access}"
        ),
        public_cidrs=because(
            endpoint.cidrs,
            f"{existing} is there: who reaches it is its owner's to say"
            if existing
            else f"declared: {len(endpoint.cidrs)} blocks",
        ),
        admins=because(access.admins, f"declared as substrate.access.admins: {len(access.admins)}"),
        viewers=because(access.viewers, f"declared as substrate.access.viewers: {len(access.viewers)}"),
        node_class=named(environment, NODE_CLASS, "1 class: all nodes are alike but in size"),
        node_pools=pools,
        operator_namespace=_namespace(
            environment,
            OPERATOR_NAMESPACE,
            math.ceil(LIMIT_TO_NEED * operator.replicas * operator.cpu),
            LIMIT_TO_NEED * operator.replicas * operator.memory_mib,
            f"{LIMIT_TO_NEED} x {operator.replicas} replicas: an upgrade's run beside those they replace",
        ),
        agents_namespace=_namespace(
            environment,
            AGENTS_NAMESPACE,
            sum(pool.vcpu_limit for pool in pools.value),
            sum(pool.memory_limit_mib for pool in pools.value),
            f"all that {len(pools.value)} pools of nodes may have",
        ),
        collector_namespace=named(
            environment, COLLECTOR_NAMESPACE, "1 namespace apart: it reads files of nodes"
        ),
    )


def _namespace(
    environment: Environment, name: str, vcpu: int, memory_mib: int, why: str
) -> Because[NamespacePlan]:
    return build(
        NamespacePlan,
        name=named(environment, name, "1 namespace for the operator, and 1 for all agents"),
        vcpu=because(vcpu, why),
        memory_mib=because(memory_mib, why),
    )


def _jobmanagers(
    environment: Environment, deployments: Sequence[DeploymentPlan], operator: OperatorPlan
) -> Because[NodePoolPlan]:
    """The operator's pods too: what rules jobs is alike."""
    cpu = sum(one.pods.jobmanager_cpu * one.pods.jobmanager_replicas for one in deployments)
    mib = sum(one.flink.jobmanager.process_mib * one.pods.jobmanager_replicas for one in deployments)
    cpu += operator.replicas * operator.cpu
    mib += operator.replicas * operator.memory_mib
    on_demand = because(0.0, "0 on spot: without its JobManager a job stands still")
    return _pool(environment, JOBMANAGERS, cpu, mib, on_demand)


def _taskmanagers(environment: Environment, deployments: Sequence[DeploymentPlan]) -> Because[NodePoolPlan]:
    cpu = sum(one.pods.taskmanager_cpu * one.flink.taskmanager.count for one in deployments)
    mib = sum(one.flink.taskmanager.process_mib * one.flink.taskmanager.count for one in deployments)
    return _pool(environment, TASKMANAGERS, cpu, mib, _spot_share(environment, deployments))


def _pool(
    environment: Environment, name: str, cpu: float, mib: int, spot: Because[float]
) -> Because[NodePoolPlan]:
    need = f"the plan's pods need {cpu:g} vCPU and {mib} MiB"
    return build(
        NodePoolPlan,
        name=named(environment, name, "what runs on it: 1 pool for each role"),
        instance_categories=_categories(cpu, mib),
        architecture=because(ARCHITECTURE, "the image's locked dependencies are for 1 architecture, x86-64"),
        spot_share=spot,
        vcpu_limit=because(math.ceil(LIMIT_TO_NEED * cpu), f"{LIMIT_TO_NEED} x: {need}"),
        memory_limit_mib=because(LIMIT_TO_NEED * mib, f"{LIMIT_TO_NEED} x: {need}"),
    )


def _categories(cpu: float, mib: int) -> Because[tuple[str, ...]]:
    """The leanest family whose memory for each vCPU is enough, and the next, where one is short."""
    wanted = mib / MIB_PER_GIB / cpu
    enough = [family for family, gib in FAMILIES.items() if gib >= wanted] or [list(FAMILIES)[-1]]
    return because(
        tuple(enough[:2]),
        f"{wanted:.1f} GiB for each vCPU; families have "
        + ", ".join(f"{family} {gib}" for family, gib in FAMILIES.items()),
    )


def _spot_share(environment: Environment, deployments: Sequence[DeploymentPlan]) -> Because[float]:
    if not environment.aws.spot:
        return because(0.0, "0: spot instances are not allowed by substrate.spot")
    objective = environment.recovery.max_recovery
    if spare_taskmanagers(environment) == 0:
        return because(
            1.0, f"all: a lost instance's pods are back in {NODE_START_MS} ms, max_recovery is {objective}"
        )
    count = sum(one.flink.taskmanager.count for one in deployments)
    spare = len(deployments) * spare_taskmanagers(environment)
    return because(
        spare / count,
        f"the {spare} spare ones of {count}: a new node takes {NODE_START_MS} ms, max_recovery {objective}",
    )
