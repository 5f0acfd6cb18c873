"""Alerts fire above the plan's bounds and stay silent below, as Prometheus' own promtool judges them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.aws.alert_rules import alert_rules
from headrace.aws.scraping import scrape_configuration
from headrace.toolchain import prometheus_for_tests
from tests.components.aws.planned import planned

DEPLOYMENTS = planned().deployments
(AGENT, *_) = DEPLOYMENTS
RUNNING = {"series": f'flink_jobmanager_numRunningJobs{{agent="{AGENT.name}"}}', "values": "1x200"}
CONTAINER = f'container="flink-main-container", pod="{AGENT.name}-taskmanager-1-1"'
PROMTOOL = prometheus_for_tests.program("promtool")

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None,
    reason="no promtool (make setup-tests): that the rules are Prometheus' own is not proved",
)


def promtool(*arguments: str | Path) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def parsed() -> dict[str, dict[str, Any]]:
    """Rules of the first agent, by alert."""
    groups = yaml.safe_load(alert_rules(DEPLOYMENTS))["groups"]
    assert [group["name"] for group in groups] == [*(each.name for each in DEPLOYMENTS), "headrace"]
    return {rule["alert"]: rule for rule in groups[0]["rules"]}


def test_bounds_are_the_plans_or_those_that_aws_documents() -> None:
    interval, failures = AGENT.flink.checkpoints.interval_ms, AGENT.flink.checkpoints.tolerable_failures
    bounds = {
        name: float(rule["expr"].rpartition("> ")[2])
        for name, rule in parsed().items()
        if "> " in rule["expr"]
    }
    assert bounds == {
        "CheckpointsSlow": interval / 2,
        "CheckpointsFail": failures / 2,
        "JobmanagerHeapFull": 0.9,
        "TaskmanagerHeapFull": 0.9,
        "TaskmanagerCpuHigh": 0.8 * AGENT.pods.taskmanager_cpu,
        "BackPressure": 500,
        "JobRestarts": 2,
        "InboxAtHardBound": 0,
        "TableHeld": 0,
    }
    assert parsed().keys() - bounds.keys() == {"JobGone"}


def test_each_alert_says_whose_it_is_and_how_bad() -> None:
    for rule in parsed().values():
        assert rule["labels"]["agent"] == AGENT.name
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"].startswith(f"{AGENT.name}: ")


@needs_promtool
def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(alert_rules(DEPLOYMENTS))
    promtool("check", "rules", tmp_path / "rules.yml")


@needs_promtool
def test_prometheus_takes_the_scrape_configuration(tmp_path: Path) -> None:
    """But for the discovery, which Debian builds Prometheus without."""
    configuration = yaml.safe_load(scrape_configuration("flink"))
    roles = [job.pop("kubernetes_sd_configs") for job in configuration["scrape_configs"]]
    assert roles == [[{"role": "pod", "namespaces": {"names": ["flink"]}}], [{"role": "node"}]]
    (tmp_path / "scrape.yml").write_text(yaml.safe_dump(configuration))
    promtool("check", "config", "--syntax-only", tmp_path / "scrape.yml")


def gauge(name: str, value: float, labels: str = "") -> dict[str, str]:
    of = f'agent="{AGENT.name}"{labels}'
    return {"series": f"{name}{{{of}}}", "values": f"{value:g}x200"}


def growing(name: str, a_minute: float) -> dict[str, str]:
    return {"series": f'{name}{{agent="{AGENT.name}"}}', "values": f"0+{a_minute:g}x200"}


def checkpoint(ms: float) -> list[dict[str, str]]:
    return [gauge("flink_jobmanager_job_lastCheckpointDuration", ms)]


def heap(process: str, used: float) -> list[dict[str, str]]:
    name = f"flink_{process}_Status_JVM_Memory_Heap"
    return [gauge(f"{name}_Used", used), gauge(f"{name}_Max", 100)]


def cpu(cores: float) -> list[dict[str, str]]:
    used = {"series": f"container_cpu_usage_seconds_total{{{CONTAINER}}}", "values": f"0+{60 * cores:g}x200"}
    return [used]


INTERVAL = AGENT.flink.checkpoints.interval_ms
OUTAGE_MINUTES = AGENT.flink.checkpoints.tolerable_failures * INTERVAL / 60_000
FAILED_A_MINUTE = AGENT.flink.checkpoints.tolerable_failures / 2 / OUTAGE_MINUTES
CPUS = AGENT.pods.taskmanager_cpu


@needs_promtool
@pytest.mark.parametrize(
    ("alert", "series", "fires"),
    [
        ("TableHeld", [gauge("headrace_tables_held", 1)], True),
        ("TableHeld", [gauge("headrace_tables_held", 0)], False),
        ("CheckpointsSlow", checkpoint(INTERVAL / 2 + 1), True),
        ("CheckpointsSlow", checkpoint(INTERVAL / 2), False),
        (
            "CheckpointsFail",
            [growing("flink_jobmanager_job_numberOfFailedCheckpoints", 1.2 * FAILED_A_MINUTE)],
            True,
        ),
        (
            "CheckpointsFail",
            [growing("flink_jobmanager_job_numberOfFailedCheckpoints", 0.8 * FAILED_A_MINUTE)],
            False,
        ),
        ("JobmanagerHeapFull", heap("jobmanager", 91), True),
        ("JobmanagerHeapFull", heap("jobmanager", 90), False),
        ("TaskmanagerHeapFull", heap("taskmanager", 91), True),
        ("TaskmanagerHeapFull", heap("taskmanager", 90), False),
        ("TaskmanagerCpuHigh", cpu(0.85 * CPUS), True),
        ("TaskmanagerCpuHigh", cpu(0.75 * CPUS), False),
        ("BackPressure", [gauge("flink_taskmanager_job_task_backPressuredTimeMsPerSecond", 501)], True),
        ("BackPressure", [gauge("flink_taskmanager_job_task_backPressuredTimeMsPerSecond", 500)], False),
        ("JobRestarts", [growing("flink_jobmanager_job_numRestarts", 3.2 / 60)], True),
        ("JobRestarts", [growing("flink_jobmanager_job_numRestarts", 1.8 / 60)], False),
        ("InboxAtHardBound", [growing("headrace_hard_bound_waits", 1)], True),
        ("InboxAtHardBound", [gauge("headrace_hard_bound_waits", 7)], False),
        ("JobGone", [gauge("flink_jobmanager_numRunningJobs", 0, ', pod="other"')], True),
        ("JobGone", [RUNNING], False),
        ("JobGone", [], True),
    ],
)
def test_an_alert_fires_above_its_bound_and_not_at_it(
    alert: str, series: list[dict[str, str]], fires: bool, tmp_path: Path
) -> None:
    (tmp_path / "rules.yml").write_text(alert_rules(DEPLOYMENTS[:1]))
    rule = parsed()[alert]
    expected = [{"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}] if fires else []
    case = {
        "interval": "1m",
        "input_series": series,
        "alert_rule_test": [{"eval_time": "120m", "alertname": alert, "exp_alerts": expected}],
    }
    test = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [case]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    promtool("test", "rules", tmp_path / "test.yml")
