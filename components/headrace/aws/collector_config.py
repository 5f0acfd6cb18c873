"""What the OpenTelemetry collector does: containers' logs and traces to AWS, and nothing else."""

from __future__ import annotations

import json
from typing import Any

from headrace.plan.aws.cluster_names import OTLP_PORT

HEALTH_PORT = 13133
POD_LOGS, READ_POSITIONS = "/var/log/pods", "/var/lib/otelcol"
MEMORY_SHARE, MEMORY_SPIKE_SHARE = 80, 25
"""Percent of its memory: above it refuses what comes, instead of being killed with what it holds."""
BATCH_WAIT = "5s"


def collector_config(region: str, log_group: str, log_stream: str) -> str:
    """The collector's file; JSON is YAML, and quotes itself.

    `log_stream` may hold a reference to the environment, as ``${env:NODE}``.
    """
    config: dict[str, Any] = {
        "extensions": {
            "health_check": {"endpoint": f"0.0.0.0:{HEALTH_PORT}"},
            "file_storage": {"directory": READ_POSITIONS},
        },
        "receivers": {
            "filelog": _container_logs(),
            "otlp": {"protocols": {"grpc": {"endpoint": f"0.0.0.0:{OTLP_PORT}"}}},
        },
        "processors": {
            "memory_limiter": {
                "check_interval": "1s",
                "limit_percentage": MEMORY_SHARE,
                "spike_limit_percentage": MEMORY_SPIKE_SHARE,
            },
            "batch": {"timeout": BATCH_WAIT},
        },
        "exporters": {
            "awscloudwatchlogs": {
                "region": region,
                "log_group_name": log_group,
                "log_stream_name": log_stream,
            },
            "awsxray": {"region": region},
        },
        "service": {
            "extensions": ["health_check", "file_storage"],
            "pipelines": {
                "logs": _pipeline(["filelog", "otlp"], "awscloudwatchlogs"),
                "traces": _pipeline(["otlp"], "awsxray"),
            },
        },
    }
    return json.dumps(config, indent=2) + "\n"


def _container_logs() -> dict[str, Any]:
    return {
        "include": [f"{POD_LOGS}/*/*/*.log"],
        # Its own would come back with everything that it says about them.
        "exclude": [f"{POD_LOGS}/*/collector/*.log"],
        # Where it never read, from the first line: a line may come twice after a lost node, and none is lost.
        "start_at": "beginning",
        "storage": "file_storage",
        "include_file_path": True,
        "retry_on_failure": {"enabled": True},
        "operators": [{"type": "container"}],
    }


def _pipeline(receivers: list[str], exporter: str) -> dict[str, Any]:
    return {"receivers": receivers, "processors": ["memory_limiter", "batch"], "exporters": [exporter]}
