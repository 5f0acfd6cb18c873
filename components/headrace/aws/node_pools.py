"""Node pools of EKS Auto Mode: what nodes there may be for each role, and how gently they go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from headrace.aws.tags import Tags
from headrace.plan.aws.model import ClusterPlan, NodePoolPlan

ROLE_LABEL = "headrace.dev/role"
"""On nodes, and as their taint, with the name of their pool: its pods name both, and others stay away."""
SPOT, ON_DEMAND = "spot", "on-demand"
NODE_DISK_GIB = 80
CONSOLIDATE_AFTER, NODE_AGE = "10m", "336h"
DISRUPTED_AT_ONCE = "1"
"""A node's end costs its jobs a restart: never two at a time by choice."""


@dataclass(frozen=True)
class _Pool:
    name: str
    plan: NodePoolPlan
    capacity: str
    share: float
    """Of the plan's limits."""


class NodePools(pulumi.ComponentResource):
    """One class of nodes, in private subnets, and for each role a pool of every kind of capacity it has."""

    def __init__(
        self,
        name: str,
        cluster: ClusterPlan,
        role: pulumi.Input[str],
        subnet_ids: Sequence[pulumi.Input[str]],
        security_group_ids: Sequence[pulumi.Input[str]],
        tags: Tags,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("headrace:aws:NodePools", name, None, opts)
        node_class = k8s.apiextensions.CustomResource(
            f"{name}-class",
            api_version="eks.amazonaws.com/v1",
            kind="NodeClass",
            metadata={"name": cluster.node_class},
            spec={
                "role": role,
                "subnetSelectorTerms": [{"id": each} for each in subnet_ids],
                "securityGroupSelectorTerms": [{"id": each} for each in security_group_ids],
                "ephemeralStorage": {"size": f"{NODE_DISK_GIB}Gi"},
                "networkPolicy": "DefaultAllow",
                "tags": tags.shared,
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        for plan in cluster.node_pools:
            for pool in _by_capacity(plan):
                k8s.apiextensions.CustomResource(
                    f"{name}-{pool.name}",
                    api_version="karpenter.sh/v1",
                    kind="NodePool",
                    metadata={"name": pool.name},
                    spec=_spec(pool, cluster.node_class),
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[node_class]),
                )
        self.register_outputs({})


def _by_capacity(plan: NodePoolPlan) -> Iterator[_Pool]:
    """Karpenter knows no shares: each kind of capacity is a pool with its part of the limits."""
    if plan.spot_share < 1:
        yield _Pool(plan.name, plan, ON_DEMAND, 1 - plan.spot_share)
    if plan.spot_share > 0:
        yield _Pool(f"{plan.name}-{SPOT}", plan, SPOT, plan.spot_share)


def _spec(pool: _Pool, node_class: str) -> dict[str, Any]:
    requirements = {
        "karpenter.sh/capacity-type": [pool.capacity],
        "kubernetes.io/arch": [pool.plan.architecture],
        "eks.amazonaws.com/instance-category": list(pool.plan.instance_categories),
    }
    return {
        "template": {
            "metadata": {"labels": {ROLE_LABEL: pool.plan.name}},
            "spec": {
                "nodeClassRef": {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": node_class},
                "requirements": [
                    {"key": name, "operator": "In", "values": values} for name, values in requirements.items()
                ],
                "taints": [{"key": ROLE_LABEL, "value": pool.plan.name, "effect": "NoSchedule"}],
                "expireAfter": NODE_AGE,
            },
        },
        "limits": {
            "cpu": str(round(pool.share * pool.plan.vcpu_limit, 3)),
            "memory": f"{round(pool.share * pool.plan.memory_limit_mib)}Mi",
        },
        "disruption": {
            "consolidationPolicy": "WhenEmpty",
            "consolidateAfter": CONSOLIDATE_AFTER,
            "budgets": [{"nodes": DISRUPTED_AT_ONCE}],
        },
    }
