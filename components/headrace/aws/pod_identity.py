"""The role of pods, by EKS Pod Identity: one service account of one cluster has it, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from headrace.aws.iam import Statement, account_of, document
from headrace.aws.names import AUTONAME_CHARS, ROLE_MAX, fitted
from headrace.aws.tags import Tags


@dataclass(frozen=True, kw_only=True)
class PodIdentityArgs:
    """Which pods, and what they may do."""

    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    namespace: pulumi.Input[str]
    service_account: pulumi.Input[str]
    statements: Sequence[Statement]
    tags: Tags


class PodIdentity(pulumi.ComponentResource):
    """A role that EKS takes for pods of the service account alone."""

    role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: PodIdentityArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:aws:PodIdentity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            fitted(name, ROLE_MAX - AUTONAME_CHARS),
            assume_role_policy=document(
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "pods.eks.amazonaws.com"},
                    "Action": ["sts:AssumeRole", "sts:TagSession"],
                    "Condition": {
                        "StringEquals": {
                            "aws:SourceAccount": account_of(pulumi.Output.from_input(args.cluster_arn)),
                            "aws:RequestTag/eks-cluster-arn": args.cluster_arn,
                            "aws:RequestTag/kubernetes-namespace": args.namespace,
                            "aws:RequestTag/kubernetes-service-account": args.service_account,
                        }
                    },
                }
            ),
            tags=args.tags.named(name),
            opts=child,
        )
        policy = aws.iam.RolePolicy(name, role=role.name, policy=document(*args.statements), opts=child)
        self.association = aws.eks.PodIdentityAssociation(
            name,
            cluster_name=args.cluster_name,
            namespace=args.namespace,
            service_account=args.service_account,
            role_arn=role.arn,
            tags=args.tags.named(name),
            # A pod has its role from its start on, with all its rights, or none.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.role_arn = role.arn
        self.register_outputs({"role_arn": self.role_arn})
