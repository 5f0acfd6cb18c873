"""The Kubernetes cluster: EKS Auto Mode, its access, and node pools by role."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from headrace.aws.cluster_roles import ClusterRoles
from headrace.aws.encryption import key
from headrace.aws.names import digest, fitted
from headrace.aws.node_pools import NodePools
from headrace.aws.tags import Tags
from headrace.errors import HeadraceError
from headrace.plan.aws.model import ClusterPlan

KUBERNETES_VERSION = "1.33"
CONTROL_PLANE_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
CLUSTER_NAME_MAX = 100
HTTPS = 443
ACCESS_POLICIES = "arn:aws:eks::aws:cluster-access-policy"
ROLES = {"admin": "AmazonEKSClusterAdminPolicy", "view": "AmazonEKSViewPolicy"}
"""What a principal may do in the whole cluster, and EKS's name for it."""
NODE_ROLE_POLICY = "AmazonEKSAutoNodePolicy"


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """How the cluster is reached, by whom, and what nodes it may have.

    Raises:
        HeadraceError: a public endpoint is open to everybody or to nobody, a private one names blocks, or
            nobody could administer the cluster.
    """

    cluster: ClusterPlan
    subnet_ids: Sequence[pulumi.Input[str]]
    """Private ones, one for each zone."""
    access: Mapping[str, str]
    """By the ARN of an IAM principal: ``admin`` or ``view``."""
    protect: bool
    log_days: int
    tags: Tags
    version: str = field(default=KUBERNETES_VERSION)
    node_security_group_ids: Sequence[pulumi.Input[str]] = ()
    """Of the nodes, beside EKS's own: Kafka's clients', whose members reach the brokers."""
    administrators: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """ARNs of roles that administer it too and may be known only later, by what they are: ``runner``."""
    api_clients: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Security groups outside of the cluster that reach its API, by what they are: ``runner``."""
    api_reached: bool = True
    """Whether the API is reached from where the program runs; if not, previews do without it."""

    def __post_init__(self) -> None:
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


class Cluster(pulumi.ComponentResource):
    """A cluster whose nodes AWS runs, with a pool for each role of the plan.

    >>> cluster = Cluster(
    ...     "dev",
    ...     ClusterArgs(
    ...         cluster=plan.cluster,
    ...         subnet_ids=network.private_subnet_ids,
    ...         access={"arn:aws:iam::111122223333:role/deployer": "admin"},
    ...         protect=plan.protect,
    ...         log_days=plan.log_days,
    ...         tags=Tags(environment="dev", owner="data", cost_centre="4711"),
    ...     ),
    ... )  # doctest: +SKIP
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    """Without any credential: `aws eks get-token` makes one for whoever uses it."""
    security_group_id: pulumi.Output[str]
    """Of the nodes and the control plane; made by EKS."""
    service_cidr: pulumi.Output[str]
    """Block of the services' addresses, the API server's among them."""
    provider: k8s.Provider

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("headrace:aws:Cluster", name, None, opts)
        self._name, self._args, self._child = name, args, pulumi.ResourceOptions(parent=self)
        roles = ClusterRoles(f"{name}-cluster", args.tags, self._child)
        cluster = self._cluster(roles)
        self.name, self.arn = cluster.name, cluster.arn
        self.security_group_id = cluster.vpc_config.cluster_security_group_id
        self.service_cidr = cluster.kubernetes_network_config.service_ipv4_cidr
        self.kubeconfig = _kubeconfig(cluster)
        self._cluster_made = cluster
        self._api_clients()
        access = self._access(cluster, roles)
        self.provider = k8s.Provider(
            f"{name}-kubernetes",
            kubeconfig=self._kubeconfig_of_provider(),
            # What makes it another cluster; else a preview without a kubeconfig would replace all in it.
            cluster_identifier=cluster.arn,
            enable_server_side_apply=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=access),
        )
        NodePools(
            f"{name}-nodes",
            args.cluster.node_pools,
            roles.node.name,
            args.subnet_ids,
            [self.security_group_id, *args.node_security_group_ids],
            args.tags,
            pulumi.ResourceOptions(parent=self, provider=self.provider),
        )
        self.register_outputs({"name": self.name, "kubeconfig": self.kubeconfig})

    def kubeconfig_as(self, role_arn: str) -> pulumi.Output[str]:
        """The kubeconfig for who may take this role; `aws eks get-token` takes it."""
        return _kubeconfig(self._cluster_made, role_arn)

    def _kubeconfig_of_provider(self) -> pulumi.Output[str]:
        """Unknown in a preview from where a private endpoint is not reached: then the API is not asked."""
        asked = self._args.api_reached or not pulumi.runtime.is_dry_run()
        return self.kubeconfig if asked else self.kubeconfig.apply(_not_known)

    def _cluster(self, roles: ClusterRoles) -> aws.eks.Cluster:
        name, args = f"{self._name}-cluster", self._args
        # EKS writes to the group of this name, and would make one that keeps its logs for ever.
        physical = fitted(f"headrace-{args.tags.environment}-{self._name}", CLUSTER_NAME_MAX)
        logs = aws.cloudwatch.LogGroup(
            name,
            name=f"/aws/eks/{physical}/cluster",
            retention_in_days=args.log_days,
            tags=args.tags.named(name),
            opts=self._child,
        )
        secrets = key(
            name,
            f"Secrets of Kubernetes of {args.tags.environment}",
            args.tags,
            pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        public = list(args.cluster.public_cidrs)
        endpoint: aws.eks.ClusterVpcConfigArgsDict = {
            "subnet_ids": list(args.subnet_ids),
            "endpoint_private_access": True,
            "endpoint_public_access": not args.cluster.endpoint_private,
        }
        if public:
            endpoint["public_access_cidrs"] = public
        return aws.eks.Cluster(
            name,
            name=physical,
            version=args.version,
            role_arn=roles.cluster.arn,
            vpc_config=endpoint,
            access_config={
                "authentication_mode": "API",
                # Who may do what is declared, and not whoever happened to run `up` first.
                "bootstrap_cluster_creator_admin_permissions": False,
            },
            # Auto Mode is these three together; without built-in pools there are the plan's alone.
            compute_config={"enabled": True},
            kubernetes_network_config={"elastic_load_balancing": {"enabled": True}},
            storage_config={"block_storage": {"enabled": True}},
            bootstrap_self_managed_addons=False,
            encryption_config={"provider": {"key_arn": secrets.arn}, "resources": ["secrets"]},
            enabled_cluster_log_types=list(CONTROL_PLANE_LOGS),
            deletion_protection=args.protect,
            upgrade_policy={"support_type": "STANDARD"},
            tags=args.tags.named(name),
            opts=pulumi.ResourceOptions(
                parent=self, protect=args.protect, depends_on=[logs, *roles.attachments]
            ),
        )

    def _api_clients(self) -> None:
        for who, group in sorted(self._args.api_clients.items()):
            name = f"{self._name}-api-{who}"
            aws.vpc.SecurityGroupIngressRule(
                name,
                security_group_id=self.security_group_id,
                referenced_security_group_id=group,
                description=f"The Kubernetes API, from the {who}",
                ip_protocol="tcp",
                from_port=HTTPS,
                to_port=HTTPS,
                tags=self._args.tags.named(name),
                opts=self._child,
            )

    def _access(self, cluster: aws.eks.Cluster, roles: ClusterRoles) -> list[pulumi.Resource]:
        """Who may do what in the cluster: the declared principals, and nodes as nodes."""
        made: list[pulumi.Resource] = []
        everybody: list[tuple[str, pulumi.Input[str], str, str]] = [
            # Named by who it is: another principal beside it moves nobody.
            *(
                (f"access-{digest(principal)}", principal, "STANDARD", ROLES[role])
                for principal, role in sorted(self._args.access.items())
            ),
            *(
                (f"access-{who}", principal, "STANDARD", ROLES["admin"])
                for who, principal in sorted(self._args.administrators.items())
            ),
            ("nodes", roles.node.arn, "EC2", NODE_ROLE_POLICY),
        ]
        for who, principal, kind, policy in everybody:
            name = f"{self._name}-{who}"
            entry = aws.eks.AccessEntry(
                name,
                cluster_name=cluster.name,
                principal_arn=principal,
                type=kind,
                tags=self._args.tags.named(name),
                opts=self._child,
            )
            made.append(
                aws.eks.AccessPolicyAssociation(
                    name,
                    cluster_name=cluster.name,
                    principal_arn=entry.principal_arn,
                    policy_arn=f"{ACCESS_POLICIES}/{policy}",
                    access_scope={"type": "cluster"},
                    opts=self._child,
                )
            )
        return made


def _not_known(_known: str) -> Any:
    return pulumi.UNKNOWN


def _kubeconfig(cluster: aws.eks.Cluster, role_arn: str | None = None) -> pulumi.Output[str]:
    def written(parts: Sequence[str]) -> str:
        name, arn, endpoint, authority = parts
        region = arn.split(":")[3]
        arguments = ["eks", "get-token", "--cluster-name", name, "--region", region, "--output", "json"]
        arguments += ["--role-arn", role_arn] if role_arn else []
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": name,
                "clusters": [
                    {
                        "name": name,
                        "cluster": {"server": endpoint, "certificate-authority-data": authority},
                    }
                ],
                "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
                "users": [
                    {
                        "name": name,
                        "user": {
                            "exec": {
                                "apiVersion": "client.authentication.k8s.io/v1",
                                "command": "aws",
                                "args": arguments,
                                "interactiveMode": "IfAvailable",
                            }
                        },
                    }
                ],
            }
        )

    authority = cluster.certificate_authority.data
    return pulumi.Output.all(cluster.name, cluster.arn, cluster.endpoint, authority).apply(written)
