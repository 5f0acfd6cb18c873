"""Alerts on capturing fire above their bounds and not at them, as Prometheus' own promtool judges them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from headrace.capture.watched import alert_rules
from tests.components.aws.test_alert_rules import needs_promtool, promtool

CAP = 1_000


def series(metric: str, value: float | str) -> dict[str, str]:
    values = value if isinstance(value, str) else f"{value:g}x60"
    return {"series": f'headrace_capture_{metric}{{source="books"}}', "values": values}


def kept(value: float) -> list[dict[str, str]]:
    return [series("slot_wal_kept_bytes", value), series("slot_wal_cap_bytes", CAP)]


@needs_promtool
@pytest.mark.parametrize(
    ("alert", "given", "fires"),
    [
        ("CaptureStopped", [series("connector_running", 0)], True),
        ("CaptureStopped", [series("connector_running", 1)], False),
        ("CaptureStopped", [series("connector_running", "1x28 0x1 1x40")], False),
        ("SlotKeepsWal", kept(501), True),
        ("SlotKeepsWal", kept(500), False),
        ("SlotKeepsWal", [series("slot_wal_kept_bytes", 10**12)], False),
        ("SlotNearItsCap", kept(801), True),
        ("SlotNearItsCap", kept(800), False),
        ("SlotLost", [series("slot_lost", 1)], True),
        ("SlotLost", [series("slot_lost", 0)], False),
        ("HeartbeatsMissing", [series("heartbeat_age_seconds", 61)], True),
        ("HeartbeatsMissing", [series("heartbeat_age_seconds", 60)], False),
        ("CaptureRestarts", [series("task_restarts", "0x20 4x40")], True),
        ("CaptureRestarts", [series("task_restarts", "0x20 2x40")], False),
        ("CaptureUnwatched", [], True),
        ("CaptureUnwatched", [series("connector_running", 1)], False),
    ],
)
def test_an_alert_fires_above_its_bound_and_not_at_it(
    alert: str, given: list[dict[str, str]], fires: bool, tmp_path: Path
) -> None:
    rules = alert_rules()
    (rule,) = (each for each in rules if each["alert"] == alert)
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "capture", "rules": rules}]}))
    source = {} if alert == "CaptureUnwatched" else {"source": "books"}
    summary = rule["annotations"]["summary"].replace("{{ $labels.source }}", "books")
    expected = [{"exp_labels": rule["labels"] | source, "exp_annotations": {"summary": summary}}]
    case = {
        "interval": "30s",
        "input_series": given,
        "alert_rule_test": [
            {"eval_time": "15m", "alertname": alert, "exp_alerts": expected if fires else []}
        ],
    }
    test = {"rule_files": ["rules.yml"], "evaluation_interval": "30s", "tests": [case]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    promtool("test", "rules", tmp_path / "test.yml")
