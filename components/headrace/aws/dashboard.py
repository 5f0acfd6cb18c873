"""The page of an environment in CloudWatch: capture, Kafka, and errors in logs of pods."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from headrace.aws.connector_alarms import METRICS as CONNECT
from headrace.aws.kafka_alarms import METRICS as KAFKA

WIDTH, HEIGHT = 12, 6
"""Of a widget; a row has 24."""
PERIOD_S = 60


def dashboard(region: str, kafka_cluster: str, connectors: Sequence[str], log_group: str) -> str:
    """The body of a dashboard, as CloudWatch's API takes it."""
    of_cluster = ["Cluster Name", kafka_cluster]
    graphs = [
        (
            "Changes captured, a second",
            [[CONNECT, "SourceRecordWriteRate", *_of(each)] for each in connectors],
        ),
        ("Running tasks of connectors", [[CONNECT, "RunningTaskCount", *_of(each)] for each in connectors]),
        ("Partitions without a leader", [[KAFKA, "OfflinePartitionsCount", *of_cluster]]),
        (
            "Topics and partitions",
            [[KAFKA, f"Global{what}Count", *of_cluster] for what in ("Topic", "Partition")],
        ),
    ]
    widgets = [
        *(_graph(at, title, metrics, region) for at, (title, metrics) in enumerate(graphs)),
        _errors(len(graphs), log_group, region),
    ]
    return json.dumps({"widgets": widgets})


def _of(connector: str) -> list[str]:
    return ["ConnectorName", connector]


def _graph(at: int, title: str, metrics: list[list[str]], region: str) -> dict[str, Any]:
    properties = {"title": title, "metrics": metrics, "region": region, "period": PERIOD_S, "stat": "Maximum"}
    return {"type": "metric", **_place(at), "properties": {"view": "timeSeries", **properties}}


def _errors(at: int, log_group: str, region: str) -> dict[str, Any]:
    found = f"SOURCE '{log_group}' | fields @timestamp, @message | filter @message like /ERROR/"
    return {
        "type": "log",
        **_place(at),
        "width": 2 * WIDTH,
        "properties": {
            "title": "Errors",
            "query": f"{found} | sort @timestamp desc | limit 100",
            "region": region,
            "view": "table",
        },
    }


def _place(at: int) -> dict[str, int]:
    return {"x": WIDTH * (at % 2), "y": HEIGHT * (at // 2), "width": WIDTH, "height": HEIGHT}
