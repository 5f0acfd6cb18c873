"""Roles of EKS Auto Mode: of the control plane, which runs nodes, and of the nodes."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from headrace.aws.iam import document
from headrace.aws.names import AUTONAME_CHARS, ROLE_MAX, fitted
from headrace.aws.tags import Tags

MANAGED = "arn:aws:iam::aws:policy"
CLUSTER_POLICIES = (
    "AmazonEKSClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
"""What AWS lists for the role of an Auto Mode cluster."""
NODE_POLICIES = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly")


class ClusterRoles(pulumi.ComponentResource):
    """Both roles with AWS's managed policies; pods have roles of their own, by pod identity."""

    def __init__(self, name: str, tags: Tags, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:aws:ClusterRoles", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.cluster, self.attachments = _role(
            f"{name}-control", "eks.amazonaws.com", CLUSTER_POLICIES, tags, child
        )
        self.node, attachments = node_role(name, tags, child)
        self.attachments += attachments
        self.register_outputs({"cluster": self.cluster.arn, "node": self.node.arn})


def node_role(
    name: str, tags: Tags, opts: pulumi.ResourceOptions
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """The nodes' alone, where the control plane has one already; and what gives it its policies."""
    return _role(f"{name}-node", "ec2.amazonaws.com", NODE_POLICIES, tags, opts)


def _role(
    name: str, service: str, policies: tuple[str, ...], tags: Tags, opts: pulumi.ResourceOptions
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    # Auto Mode tags the sessions that it takes the cluster's role for.
    actions = ["sts:AssumeRole", "sts:TagSession"] if service.startswith("eks") else ["sts:AssumeRole"]
    role = aws.iam.Role(
        fitted(name, ROLE_MAX - AUTONAME_CHARS),
        assume_role_policy=document(
            {"Effect": "Allow", "Principal": {"Service": service}, "Action": actions}
        ),
        tags=tags.named(name),
        opts=opts,
    )
    attached: list[pulumi.Resource] = [
        aws.iam.RolePolicyAttachment(
            f"{name}-{policy}", role=role.name, policy_arn=f"{MANAGED}/{policy}", opts=opts
        )
        for policy in policies
    ]
    return role, attached
