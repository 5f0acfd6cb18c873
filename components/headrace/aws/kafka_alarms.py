"""Alarms on what loses records or stops writes: partitions without a leader or copies, disks that fill up."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from headrace.aws.tags import Tags

PERIOD_S, PERIODS = 60, 5
METRICS = "AWS/Kafka"
DISK_ALARM_PERCENT = 85
"""MSK's own advice (best practices for Standard brokers); growth begins well below it."""


@dataclass(frozen=True)
class Alarm:
    name: str
    metric: str
    above: float
    what: str
    broker: int | None = None
    """A metric of one broker; ``None``: of the cluster."""


OFFLINE = Alarm(
    "offline", "OfflinePartitionsCount", 0, "Partitions without a leader: nothing reads or writes them"
)


class KafkaAlarms(pulumi.ComponentResource):
    """Alarms of a cluster, and of each Standard broker: Express brokers' copies and disks are AWS's own."""

    def __init__(
        self,
        name: str,
        cluster: pulumi.Input[str],
        standard_brokers: int,
        topic_arn: pulumi.Input[str] | None,
        tags: Tags,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("headrace:aws:KafkaAlarms", name, None, opts)
        of_brokers = (alarm for at in range(standard_brokers) for alarm in _of_broker(at + 1))
        for alarm in (OFFLINE, *of_brokers):
            dimensions: dict[str, pulumi.Input[str]] = {"Cluster Name": cluster}
            if alarm.broker is not None:
                dimensions["Broker ID"] = str(alarm.broker)
            aws.cloudwatch.MetricAlarm(
                f"{name}-{alarm.name}",
                alarm_description=alarm.what,
                namespace=METRICS,
                metric_name=alarm.metric,
                dimensions=dimensions,
                # Only brokers that carry partitions report some of them: the worst one counts.
                statistic="Maximum",
                comparison_operator="GreaterThanThreshold",
                threshold=alarm.above,
                period=PERIOD_S,
                evaluation_periods=PERIODS,
                alarm_actions=[] if topic_arn is None else [topic_arn],
                ok_actions=[] if topic_arn is None else [topic_arn],
                tags=tags.named(f"{name}-{alarm.name}"),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})


def _of_broker(broker: int) -> tuple[Alarm, Alarm]:
    return (
        Alarm(
            f"under-min-isr-{broker}",
            "UnderMinIsrPartitionCount",
            0,
            f"Partitions led by broker {broker} have fewer copies in sync than a write needs: it is refused",
            broker,
        ),
        Alarm(
            f"disk-{broker}",
            "KafkaDataLogsDiskUsed",
            DISK_ALARM_PERCENT,
            f"Disk of broker {broker} fills up, and has not grown in time",
            broker,
        ),
    )
