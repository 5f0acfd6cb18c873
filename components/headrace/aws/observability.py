"""What an environment says of itself: metrics with rules, alarms, logs and traces, and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from headrace.aws.collector import Collector, CollectorArgs
from headrace.aws.connector_alarms import ConnectorAlarms
from headrace.aws.dashboard import dashboard
from headrace.aws.observed import ObservedCluster
from headrace.aws.pods import pinned
from headrace.aws.prometheus import Prometheus, PrometheusArgs
from headrace.aws.slot_watch import SlotWatch, SlotWatchArgs, WatchedSlot
from headrace.aws.tags import Tags
from headrace.errors import HeadraceError
from headrace.plan.aws.model import DeploymentPlan

KEPT_DAYS = frozenset(
    {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
)
"""What CloudWatch takes as the days that a group keeps its logs."""
ZONES_LEAST = 2


@dataclass(frozen=True, kw_only=True)
class ObservabilityArgs:
    """What is watched, and where alarms go.

    Raises:
        HeadraceError: nothing is to be watched, the collector's image has no digest, the scraper has too few
            subnets, or CloudWatch keeps logs for no such time.
    """

    deployments: Sequence[DeploymentPlan]
    """The plan's: bounds of alerts are theirs."""
    connectors: Sequence[str]
    """Names on MSK Connect."""
    kafka_cluster_arn: pulumi.Input[str]
    cluster: ObservedCluster
    region: str
    collector_image: str
    """Repository and digest of an OpenTelemetry collector with the receivers ``filelog`` and ``otlp`` and the
    exporters ``awscloudwatchlogs`` and ``awsxray``: the contributors' distribution, or AWS's."""
    alarm_topic_arn: pulumi.Input[str]
    log_days: int
    tags: Tags
    deployers: Sequence[pulumi.Input[str]] = ()
    """ARNs of principals that make the workspace, and so use its key."""
    slots: Sequence[WatchedSlot] = ()
    """Of sources; the collector's image then is the contributors' distribution."""

    def __post_init__(self) -> None:
        if not self.deployments:
            raise HeadraceError("observability: given no deployments; allowed: one or more, of the plan")
        pinned(self.collector_image, "observability, collector's image")
        if (given := len(self.cluster.subnet_ids)) < ZONES_LEAST:
            raise HeadraceError(
                f"observability: given {given} subnets for the scraper; allowed: {ZONES_LEAST} or more, in "
                "as many zones"
            )
        if self.log_days not in KEPT_DAYS:
            allowed = ", ".join(map(str, sorted(KEPT_DAYS)))
            raise HeadraceError(f"observability: given logs for {self.log_days} days; allowed: {allowed}")


class Observability(pulumi.ComponentResource):
    """Managed Prometheus with the plan's rules, alarms on connectors, a collector on each node, a dashboard.

    >>> observability = Observability(
    ...     "prod",
    ...     ObservabilityArgs(
    ...         deployments=plan.deployments,
    ...         connectors=[each.name for each in plan.connect.connectors],
    ...         kafka_cluster_arn=kafka.cluster_arn,
    ...         cluster=ObservedCluster(
    ...             name=cluster.name,
    ...             arn=cluster.arn,
    ...             subnet_ids=network.private_subnet_ids,
    ...             security_group_id=cluster.security_group_id,
    ...         ),
    ...         region=plan.region,
    ...         collector_image="otel/opentelemetry-collector-contrib@sha256:...",
    ...         alarm_topic_arn=alarms.topic_arn,
    ...         log_days=plan.log_days,
    ...         tags=Tags(environment="prod", owner="data", cost_centre="4711"),
    ...     ),
    ...     pulumi.ResourceOptions(provider=cluster.provider),
    ... )  # doctest: +SKIP
    """

    metrics_endpoint: pulumi.Output[str]
    """Of the workspace, for Grafana and its like."""
    otlp_endpoint: str
    """For pods, over gRPC."""
    log_group_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("headrace:aws:Observability", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        metrics = Prometheus(
            f"{name}-metrics",
            PrometheusArgs(
                deployments=args.deployments,
                sources=[slot.source.name for slot in args.slots],
                cluster=args.cluster,
                region=args.region,
                alarm_topic_arn=args.alarm_topic_arn,
                log_days=args.log_days,
                tags=args.tags,
                deployers=args.deployers,
            ),
            child,
        )
        ConnectorAlarms(f"{name}-capture", args.connectors, args.alarm_topic_arn, args.tags, child)
        logs = aws.cloudwatch.LogGroup(
            f"{name}-pods",
            retention_in_days=args.log_days,
            tags=args.tags.named(f"{name}-pods"),
            opts=child,
        )
        collector = Collector(
            f"{name}-collector",
            CollectorArgs(
                cluster=args.cluster,
                region=args.region,
                image=args.collector_image,
                logs=logs,
                tags=args.tags,
            ),
            child,
        )
        for slot in args.slots:
            SlotWatch(
                f"{name}-{slot.source.name}-slot-watch",
                SlotWatchArgs(
                    slot=slot,
                    cluster=args.cluster,
                    namespace=collector.namespace,
                    image=args.collector_image,
                    tags=args.tags,
                ),
                child,
            )
        aws.cloudwatch.Dashboard(
            f"{name}-dashboard",
            dashboard_name=f"headrace-{args.tags.environment}-{name}",
            dashboard_body=pulumi.Output.all(args.kafka_cluster_arn, logs.name).apply(
                lambda known: dashboard(args.region, _name_of(known[0]), args.connectors, known[1])
            ),
            opts=child,
        )
        self.metrics_endpoint, self.otlp_endpoint = metrics.endpoint, collector.endpoint
        self.log_group_name = logs.name
        self.register_outputs(
            {
                "metrics_endpoint": self.metrics_endpoint,
                "otlp_endpoint": self.otlp_endpoint,
                "log_group_name": self.log_group_name,
            }
        )


def _name_of(kafka_arn: str) -> str:
    """``arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/ID``"""
    return kafka_arn.split("/")[1]
