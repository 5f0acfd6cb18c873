"""The cluster that is watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, kw_only=True)
class ObservedCluster:
    """An EKS cluster, and how it is reached from within its network."""

    name: pulumi.Input[str]
    arn: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    """Private ones, in two zones or more."""
    security_group_id: pulumi.Input[str]
    """Of its nodes and its control plane."""
    node_pools: Sequence[str] = ()
    """Those whose nodes' logs are read, by name; none: every node's."""
    agents_namespace: str | None = None
    """Whose pods' figures are read; ``None``: those of every namespace."""
    collector_namespace: str = "observability"
