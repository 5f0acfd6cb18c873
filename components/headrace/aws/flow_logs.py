"""Flow logs of a VPC: who talked to whom, in CloudWatch."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from headrace.aws.iam import allow, document, trust
from headrace.aws.names import AUTONAME_CHARS, ROLE_MAX, fitted
from headrace.aws.tags import Tags

AGGREGATION_S = 60


class FlowLogs(pulumi.ComponentResource):
    """All traffic of a VPC, accepted and refused, kept for some days."""

    def __init__(
        self, name: str, vpc: aws.ec2.Vpc, days: int, tags: Tags, opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("headrace:aws:FlowLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = aws.cloudwatch.LogGroup(
            f"{name}-logs", retention_in_days=days, tags=tags.named(f"{name}-logs"), opts=child
        )
        role = aws.iam.Role(
            fitted(f"{name}-logs", ROLE_MAX - AUTONAME_CHARS),
            assume_role_policy=trust("vpc-flow-logs.amazonaws.com", vpc.owner_id),
            tags=tags.named(f"{name}-logs"),
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            f"{name}-logs",
            role=role.name,
            policy=document(
                allow(
                    ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                    [pulumi.Output.concat(group.arn, ":*")],
                )
            ),
            opts=child,
        )
        aws.ec2.FlowLog(
            f"{name}-logs",
            vpc_id=vpc.id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=AGGREGATION_S,
            tags=tags.named(f"{name}-logs"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.register_outputs({"log_group": group.name})
