"""The Kubernetes cluster: EKS Auto Mode, its access, and node pools by role; or one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from headrace.aws.cluster_args import ROLES, ClusterArgs, ExistingClusterArgs
from headrace.aws.cluster_facts import ClusterFacts
from headrace.aws.cluster_roles import ClusterRoles, node_role
from headrace.aws.encryption import key
from headrace.aws.existing_cluster import existing_cluster, refuse_unenforced_policies
from headrace.aws.names import digest, fitted
from headrace.aws.network_policies import enforce_policies
from headrace.aws.node_pools import NodePools

CONTROL_PLANE_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
CLUSTER_NAME_MAX = 100
HTTPS = 443
ACCESS_POLICIES = "arn:aws:eks::aws:cluster-access-policy"
NODE_ROLE_POLICY = "AmazonEKSAutoNodePolicy"


class Cluster(pulumi.ComponentResource):
    """A cluster whose nodes AWS runs, with a pool for each role of the plan.

    One that is there (`ExistingClusterArgs`) gets nodes of the plan's pools, their role, and access entries
    for them and the `administrators`, which go with the component; nothing else of it is changed.

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

    def __init__(
        self,
        name: str,
        args: ClusterArgs | ExistingClusterArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("headrace:aws:Cluster", name, None, opts)
        self._name, self._args, self._child = name, args, pulumi.ResourceOptions(parent=self)
        if isinstance(args, ExistingClusterArgs):
            nodes, rights = node_role(f"{name}-cluster", args.tags, self._child)
            here = pulumi.InvokeOutputOptions(parent=self)
            self._facts = existing_cluster(args.cluster, args.vpc_id, here)
        else:
            roles = ClusterRoles(f"{name}-cluster", args.tags, self._child)
            nodes, rights = roles.node, roles.attachments
            self._facts = self._made(args, roles)
        facts = self._facts
        self.name, self.arn, self.kubeconfig = facts.name, facts.arn, facts.kubeconfig()
        self.security_group_id, self.service_cidr = facts.security_group_id, facts.service_cidr
        self._api_clients()
        declared = {} if isinstance(args, ExistingClusterArgs) else args.access
        access = self._access(declared, nodes)
        self.provider = k8s.Provider(
            f"{name}-kubernetes",
            kubeconfig=self._kubeconfig_of_provider(),
            # What makes it another cluster; else a preview without a kubeconfig would replace all in it.
            cluster_identifier=self.arn,
            enable_server_side_apply=True,
            # What somebody else has made stays theirs: one of the same name is refused, not taken over.
            upsert_existing_objects=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*rights, *access]),
        )
        inside = pulumi.ResourceOptions(parent=self, provider=self.provider)
        if isinstance(args, ExistingClusterArgs):
            refuse_unenforced_policies(f"{name}-policies", self.name, inside)
        else:
            enforce_policies(f"{name}-policies", inside)
        NodePools(
            f"{name}-nodes",
            args.cluster,
            nodes.name,
            args.subnet_ids,
            [self.security_group_id, *args.node_security_group_ids],
            args.tags,
            inside,
        )
        self.register_outputs({"name": self.name, "kubeconfig": self.kubeconfig})

    def kubeconfig_as(self, role_arn: str) -> pulumi.Output[str]:
        """The kubeconfig for who may take this role; `aws eks get-token` takes it."""
        return self._facts.kubeconfig(role_arn)

    def _kubeconfig_of_provider(self) -> pulumi.Output[str]:
        """Unknown in a preview from where a private endpoint is not reached: then the API is not asked."""
        asked = self._args.api_reached or not pulumi.runtime.is_dry_run()
        return self.kubeconfig if asked else self.kubeconfig.apply(_not_known)

    def _made(self, args: ClusterArgs, roles: ClusterRoles) -> ClusterFacts:
        cluster = self._cluster(args, roles)
        return ClusterFacts(
            name=cluster.name,
            arn=cluster.arn,
            endpoint=cluster.endpoint,
            authority=cluster.certificate_authority.data,
            security_group_id=cluster.vpc_config.cluster_security_group_id,
            service_cidr=cluster.kubernetes_network_config.service_ipv4_cidr,
        )

    def _cluster(self, args: ClusterArgs, roles: ClusterRoles) -> aws.eks.Cluster:
        name = f"{self._name}-cluster"
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

    def _access(self, declared: Mapping[str, str], nodes: aws.iam.Role) -> list[pulumi.Resource]:
        """Who may do what in the cluster: the declared principals, and nodes as nodes."""
        made: list[pulumi.Resource] = []
        everybody: list[tuple[str, pulumi.Input[str], str, str]] = [
            # Named by who it is: another principal beside it moves nobody.
            *(
                (f"access-{digest(principal)}", principal, "STANDARD", ROLES[role])
                for principal, role in sorted(declared.items())
            ),
            *(
                (f"access-{who}", principal, "STANDARD", ROLES["admin"])
                for who, principal in sorted(self._args.administrators.items())
            ),
            ("nodes", nodes.arn, "EC2", NODE_ROLE_POLICY),
        ]
        for who, principal, kind, policy in everybody:
            name = f"{self._name}-{who}"
            entry = aws.eks.AccessEntry(
                name,
                cluster_name=self.name,
                principal_arn=principal,
                type=kind,
                tags=self._args.tags.named(name),
                opts=self._child,
            )
            made.append(
                aws.eks.AccessPolicyAssociation(
                    name,
                    cluster_name=self.name,
                    principal_arn=entry.principal_arn,
                    policy_arn=f"{ACCESS_POLICIES}/{policy}",
                    access_scope={"type": "cluster"},
                    opts=self._child,
                )
            )
        return made


def _not_known(_known: str) -> Any:
    return pulumi.UNKNOWN
