"""What the watch of a slot does: asks the source's server, and answers Prometheus; and nothing else.

It is a collector of OpenTelemetry's with one receiver, so no image of headrace's own has to be there.
"""

from __future__ import annotations

import json
from typing import Any

from headrace.aws.collector_config import HEALTH_PORT, MEMORY_SHARE, MEMORY_SPIKE_SHARE
from headrace.capture.standing import figures
from headrace.plan.model import PostgresqlSourcePlan

METRICS_PORT = 9464
"""The default of OpenTelemetry's exporter for Prometheus."""
ASKED_EVERY = "30s"
FORGOTTEN = "75s"
"""After two questions without an answer nothing is said of the slot: that is an alert of its own."""


def slot_watch_config(source: PostgresqlSourcePlan, host: str, port: int, secret_arn: str) -> str:
    """The collector's file; JSON is YAML, and quotes itself. The password is a reference, resolved by it."""
    config: dict[str, Any] = {
        "extensions": {"health_check": {"endpoint": f"0.0.0.0:{HEALTH_PORT}"}},
        "receivers": {
            "sqlquery": {
                "driver": "postgres",
                "datasource": datasource(source, host, port, f"${{secretsmanager:{secret_arn}#password}}"),
                "collection_interval": ASKED_EVERY,
                "queries": [
                    {
                        "sql": query,
                        "metrics": [
                            {
                                "metric_name": metric.name,
                                "value_column": column,
                                "value_type": "int",
                                "data_type": "gauge",
                                "static_attributes": dict.fromkeys(metric.labels, source.name),
                            }
                            for metric, column in columns.items()
                        ],
                    }
                    for query, columns in figures(source.slot).items()
                ],
            }
        },
        "processors": {
            "memory_limiter": {
                "check_interval": "1s",
                "limit_percentage": MEMORY_SHARE,
                "spike_limit_percentage": MEMORY_SPIKE_SHARE,
            }
        },
        "exporters": {
            "prometheus": {
                "endpoint": f"0.0.0.0:{METRICS_PORT}",
                # Names are ours, whole.
                "add_metric_suffixes": False,
                "metric_expiration": FORGOTTEN,
            }
        },
        "service": {
            "extensions": ["health_check"],
            # Its own figures would need another port.
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                "metrics": {
                    "receivers": ["sqlquery"],
                    "processors": ["memory_limiter"],
                    "exporters": ["prometheus"],
                }
            },
        },
    }
    return json.dumps(config, indent=2) + "\n"


def datasource(source: PostgresqlSourcePlan, host: str, port: int, password: str) -> str:
    """Keywords of libpq's; the password stands between quotes, so it may have spaces."""
    return (
        f"host={host} port={port} dbname={source.database} user={source.slot} password='{password}'"
        f" sslmode={source.connector_config['database.sslmode']} connect_timeout=5"
    )
