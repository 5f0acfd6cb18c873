"""How an agent's metrics are called: Flink's reporter for Prometheus puts its own scope and every label's
name before a metric's, which Prometheus takes off again when it scrapes.
"""

from __future__ import annotations

import re
from typing import Any

OWN, OPEN_TELEMETRY = "headrace_", "gen_ai_client_"
REPORTED = r"flink_taskmanager_job_task_operator_(?:\w+_)?"
"""What is before an agent's own metric."""
AGENT = "gen_ai_agent_name"
_OF_AN_AGENT = re.compile(rf"{REPORTED}((?:{OWN}|{OPEN_TELEMETRY})\w+)")

RELABELLED: list[dict[str, Any]] = [
    *(
        {
            "source_labels": ["__name__"],
            "regex": f"{REPORTED}({prefix}.+)",
            "target_label": "__name__",
            "replacement": "$1",
        }
        for prefix in (OPEN_TELEMETRY, OWN)
    ),
    {
        "source_labels": ["__name__", "job_name"],
        "separator": ";",
        "regex": f"(?:{OPEN_TELEMETRY}|{OWN}).+;(.+)",
        "target_label": AGENT,
        "replacement": "$1",
    },
]
"""``metric_relabel_configs`` of whoever scrapes Flink."""

RECORDED: list[dict[str, Any]] = [
    {
        # Flink's gauges from Python are whole numbers, and a second is too coarse for one.
        "record": "gen_ai_client_operation_duration_seconds_sum",
        "expr": "gen_ai_client_operation_duration_microseconds_sum / 1e6",
    }
]
"""Rules of Prometheus for what can't be reported so."""
RECORDING_GROUP = "headrace"

TABLES_HELD = f"{OWN}tables_held"
TABLES_HELD_MEANS = (
    "events of a table wait since one of them did not fit: mend the agent or its table, or declare otherwise "
    "in on_schema_change"
)
HELD: dict[str, Any] = {
    "alert": "TableHeld",
    "expr": f"max by ({AGENT}) ({TABLES_HELD}) > 0",
    "labels": {"severity": "critical"},
    "annotations": {"summary": f"{{{{ $labels.{AGENT} }}}}: {TABLES_HELD_MEANS}"},
}
"""An alert over all agents, by the label :data:`AGENT`."""


def documented(reported: str) -> str | None:
    """An agent's metric by the name that Flink reports it by; None for one that is not an agent's."""
    found = _OF_AN_AGENT.fullmatch(reported)
    return found[1] if found else None
