"""docs/capture.md says what is watched, and which alerts there are."""

from __future__ import annotations

import re
from pathlib import Path

from headrace.capture.watched import METRICS, alert_rules

PAGE = (Path(__file__).parents[3] / "docs" / "capture.md").read_text()


def test_the_page_has_each_metric_as_the_code_has_it() -> None:
    found = re.findall(r"^\| `(headrace_capture_\w+)` \| gauge \| (.*?) \| (.*) \|$", PAGE, re.MULTILINE)
    said = [(each.name, ", ".join(f"`{label}`" for label in each.labels), each.meaning) for each in METRICS]
    assert found == said


def test_the_page_has_each_alert_as_the_code_has_it() -> None:
    found = re.findall(r"^\| `(\w+)` \| (critical|warning) \| (.*) \|$", PAGE, re.MULTILINE)
    said = [
        (
            rule["alert"],
            rule["labels"]["severity"],
            rule["annotations"]["summary"].removeprefix("{{ $labels.source }}: "),
        )
        for rule in alert_rules()
    ]
    assert found == said
