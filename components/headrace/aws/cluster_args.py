"""What a cluster is made of: a new one, or one that is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from headrace.aws.tags import Tags
from headrace.errors import HeadraceError
from headrace.plan.aws.model import ClusterPlan

KUBERNETES_VERSION = "1.33"
ROLES = {"admin": "AmazonEKSClusterAdminPolicy", "view": "AmazonEKSViewPolicy"}
"""What a principal may do in the whole cluster, and EKS's name for it."""


@dataclass(frozen=True, kw_only=True)
class _AnyClusterArgs:
    """What a new cluster and one that is there have in common: nodes, and who gets in for the stack."""

    cluster: ClusterPlan
    subnet_ids: Sequence[pulumi.Input[str]]
    """Private ones, one for each zone."""
    tags: Tags
    node_security_group_ids: Sequence[pulumi.Input[str]] = ()
    """Of the nodes, beside EKS's own: Kafka's clients', whose members reach the brokers."""
    administrators: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """ARNs of roles that administer it too and may be known only later, by what they are: ``runner``."""
    api_clients: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Security groups outside of the cluster that reach its API, by what they are: ``runner``."""
    api_reached: bool = True
    """Whether the API is reached from where the program runs; if not, previews do without it."""


@dataclass(frozen=True, kw_only=True)
class ClusterArgs(_AnyClusterArgs):
    """A new cluster: how it is reached, by whom, and what nodes it may have.

    Raises:
        HeadraceError: a public endpoint is open to everybody or to nobody, a private one names blocks, nobody
            could administer the cluster, or the plan is one for a cluster that is there.
    """

    access: Mapping[str, str]
    """By the ARN of an IAM principal: ``admin`` or ``view``."""
    protect: bool
    log_days: int
    version: str = field(default=KUBERNETES_VERSION)

    def __post_init__(self) -> None:
        if existing := self.cluster.existing:
            raise HeadraceError(
                f"cluster: given a plan for {existing}, which is there; allowed: ExistingClusterArgs with it"
            )
        private, cidrs = self.cluster.endpoint_private, self.cluster.public_cidrs
        if private and cidrs:
            raise HeadraceError(
                f"cluster: given a private endpoint and {len(cidrs)} public blocks; allowed: one or the other"
            )
        if not private and not cidrs:
            raise HeadraceError("cluster: given a public endpoint for nobody; allowed: blocks that reach it")
        if everybody := [cidr for cidr in cidrs if cidr.endswith("/0")]:
            raise HeadraceError(
                f"cluster: given an endpoint for {everybody[0]}; allowed: blocks of your own, not everybody"
            )
        if unknown := sorted(set(self.access.values()) - ROLES.keys()):
            raise HeadraceError(f"cluster: given access {unknown[0]}; allowed: {', '.join(ROLES)}")
        if "admin" not in self.access.values() and not self.administrators:
            raise HeadraceError("cluster: given nobody with access admin; allowed: at least one principal")


@dataclass(frozen=True, kw_only=True)
class ExistingClusterArgs(_AnyClusterArgs):
    """A cluster that is there, with EKS Auto Mode; its endpoint, who gets in and its logs are its owner's.

    Raises:
        HeadraceError: the plan is one for a new cluster.
    """

    vpc_id: pulumi.Input[str]
    """In which nodes and brokers are; the cluster has to be in it too."""

    def __post_init__(self) -> None:
        if self.cluster.existing is None:
            raise HeadraceError(
                "cluster: given a plan for a new cluster; allowed: one that names a cluster that is there, "
                "as substrate.cluster.existing"
            )
