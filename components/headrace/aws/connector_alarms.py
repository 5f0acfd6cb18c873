"""Alarms on connectors: one without a running task captures nothing, and its slot holds the source's log."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from headrace.aws.tags import Tags

PERIOD_S, PERIODS = 60, 5
METRICS = "AWS/KafkaConnect"


class ConnectorAlarms(pulumi.ComponentResource):
    """An alarm for each connector of MSK Connect."""

    def __init__(
        self,
        name: str,
        connectors: Sequence[str],
        topic_arn: pulumi.Input[str],
        tags: Tags,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("headrace:aws:ConnectorAlarms", name, None, opts)
        for connector in connectors:
            alarm = f"{name}-{connector}"
            aws.cloudwatch.MetricAlarm(
                alarm,
                alarm_description=f"Connector {connector} has no running task: changes wait in the database",
                namespace=METRICS,
                metric_name="RunningTaskCount",
                dimensions={"ConnectorName": connector},
                statistic="Minimum",
                comparison_operator="LessThanThreshold",
                threshold=1,
                # A connector that is gone says nothing at all.
                treat_missing_data="breaching",
                period=PERIOD_S,
                evaluation_periods=PERIODS,
                alarm_actions=[topic_arn],
                ok_actions=[topic_arn],
                tags=tags.named(alarm),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})
