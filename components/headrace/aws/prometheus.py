"""Managed Prometheus: a workspace, what scrapes into it, its rules, and whom its alerts reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import yaml

from headrace.aws.alert_rules import alert_rules
from headrace.aws.encryption import key, shared_with
from headrace.aws.names import PROMETHEUS_MAX, fitted
from headrace.aws.observed import ObservedCluster
from headrace.aws.scraping import scrape_configuration
from headrace.aws.tags import Tags
from headrace.plan.aws.model import DeploymentPlan

GROUP_WAIT, REPEATED = "30s", "4h"


@dataclass(frozen=True, kw_only=True)
class PrometheusArgs:
    deployments: Sequence[DeploymentPlan]
    sources: Sequence[str]
    """Those whose slots are watched."""
    cluster: ObservedCluster
    region: str
    alarm_topic_arn: pulumi.Input[str]
    log_days: int
    tags: Tags
    deployers: Sequence[pulumi.Input[str]]


class Prometheus(pulumi.ComponentResource):
    """Figures of the Flink jobs of a cluster, judged by the plan's bounds."""

    def __init__(self, name: str, args: PrometheusArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:aws:Prometheus", name, None, opts)
        child, tags = pulumi.ResourceOptions(parent=self), args.tags.named(name)
        logs = aws.cloudwatch.LogGroup(
            name,
            # The service writes to groups of this prefix alone.
            name_prefix=f"/aws/vendedlogs/prometheus/{name}-",
            retention_in_days=args.log_days,
            tags=tags,
            opts=child,
        )
        encryption = key(name, f"Metrics of {args.tags.environment}", args.tags, child)
        # The service tries the key in the name of whoever makes the workspace.
        shared = [shared_with(name, encryption, args.deployers, child)] if args.deployers else []
        workspace = aws.amp.Workspace(
            name,
            alias=fitted(name, PROMETHEUS_MAX),
            kms_key_arn=encryption.arn,
            logging_configuration={"log_group_arn": pulumi.Output.concat(logs.arn, ":*")},
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=shared),
        )
        aws.amp.Scraper(
            name,
            alias=fitted(name, PROMETHEUS_MAX),
            source={
                "eks": {
                    "cluster_arn": args.cluster.arn,
                    "subnet_ids": list(args.cluster.subnet_ids),
                    "security_group_ids": [args.cluster.security_group_id],
                }
            },
            destination={"amp": {"workspace_arn": workspace.arn}},
            scrape_configuration=scrape_configuration(
                args.cluster.agents_namespace, args.cluster.collector_namespace if args.sources else None
            ),
            tags=tags,
            opts=child,
        )
        aws.amp.RuleGroupNamespace(
            name,
            name="headrace",
            workspace_id=workspace.id,
            data=alert_rules(args.deployments, args.sources),
            tags=tags,
            opts=child,
        )
        aws.amp.AlertManagerDefinition(
            name,
            workspace_id=workspace.id,
            definition=pulumi.Output.from_input(args.alarm_topic_arn).apply(
                lambda topic: alert_manager(topic, args.region)
            ),
            opts=child,
        )
        self.workspace_id, self.endpoint = workspace.id, workspace.prometheus_endpoint
        self.register_outputs({"workspace_id": self.workspace_id, "endpoint": self.endpoint})


def alert_manager(topic_arn: str, region: str) -> str:
    """The alert manager's file: alerts of one agent or source come together, and again while they last."""
    config = {
        "route": {
            "receiver": "topic",
            "group_by": ["agent", "source", "severity"],
            "group_wait": GROUP_WAIT,
            "repeat_interval": REPEATED,
        },
        "receivers": [
            {
                "name": "topic",
                "sns_configs": [
                    {
                        "topic_arn": topic_arn,
                        "sigv4": {"region": region},
                        "subject": "{{ .CommonLabels.severity }}:"
                        " {{ .CommonLabels.agent }}{{ .CommonLabels.source }}",
                        "send_resolved": True,
                    }
                ],
            }
        ],
    }
    return yaml.safe_dump({"alertmanager_config": yaml.safe_dump(config, sort_keys=False)}, sort_keys=False)
