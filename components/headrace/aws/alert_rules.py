"""What Prometheus warns of: rules of each agent's Flink deployment, with the plan's own bounds.

Bounds that no plan has are those that AWS documents for its own managed Flink (recommended alarms): a
checkpoint over half of its interval, a heap over 90 %, processors over 80 %, back pressure over half of the
time, more than two restarts an hour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from headrace.capture.watched import slot_alert_rules, slot_unwatched
from headrace.environment.units import SECOND_MS
from headrace.plan.aws.model import DeploymentPlan
from headrace.plan.metric_names import RECORDED, RECORDING_GROUP, TABLES_HELD, TABLES_HELD_MEANS

CHECKPOINT_SHARE = 0.5
"""Of the interval."""
HEAP_SHARE = 0.9
CPU_SHARE = 0.8
BACK_PRESSURE_MS_PER_S = 500
RESTARTS_AN_HOUR = 2
OUTAGE_SHARE = 0.5
"""Of the failed checkpoints that a job survives."""
LASTING, GONE = "5m", "3m"
"""How long it has to be so: longer than a restart, which the plan's objectives allow for."""
EVALUATED = "30s"
CAPTURE_GROUP = "capture"
WAY_BACK = "docs/capture.md says how its tables are read anew"
MAIN_CONTAINER = "flink-main-container"
"""The operator's name of it; the Python workers run in it, too."""


@dataclass(frozen=True)
class _Alert:
    name: str
    expression: str
    severity: str
    summary: str
    lasting: str = LASTING


def alert_rules(deployments: Sequence[DeploymentPlan], sources: Sequence[str] = ()) -> str:
    """A file of rules as Prometheus takes it: a group for each agent, found by the label ``agent``, one of
    what is recorded, and one of the slots of `sources`, where there are any."""
    groups: list[dict[str, Any]] = [
        {
            "name": each.name,
            "interval": EVALUATED,
            "rules": [_rule(each.name, alert) for alert in _alerts(each)],
        }
        for each in deployments
    ]
    groups.append({"name": RECORDING_GROUP, "interval": EVALUATED, "rules": RECORDED})
    if sources:
        slots = [*slot_alert_rules(WAY_BACK), *map(slot_unwatched, sources)]
        groups.append({"name": CAPTURE_GROUP, "interval": EVALUATED, "rules": slots})
    return yaml.safe_dump({"groups": groups}, sort_keys=False, width=1_000)


def _rule(agent: str, alert: _Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.lasting,
        "labels": {"severity": alert.severity, "agent": agent},
        "annotations": {"summary": f"{agent}: {alert.summary}"},
    }


def _alerts(deployment: DeploymentPlan) -> Iterator[_Alert]:
    yield from _of_checkpoints(deployment)
    yield from _of_processes(deployment)
    of = f'agent="{deployment.name}"'
    yield _Alert(
        "JobGone",
        f"absent(flink_jobmanager_numRunningJobs{{{of}}} >= 1)",
        "critical",
        "its job does not run, or says nothing of itself",
        GONE,
    )
    yield _Alert(
        "JobRestarts",
        f"max by (agent) (increase(flink_jobmanager_job_numRestarts{{{of}}}[1h])) > {RESTARTS_AN_HOUR}",
        "critical",
        f"its job was restarted more than {RESTARTS_AN_HOUR} times within an hour",
        "1m",
    )
    yield _Alert(
        "InboxAtHardBound",
        f"sum by (agent) (increase(headrace_hard_bound_waits{{{of}}}[{LASTING}])) > 0",
        "warning",
        "events wait in front of a full inbox, and checkpoints with them: the model is too slow",
    )
    yield _Alert(
        "TableHeld",
        f"max by (agent) ({TABLES_HELD}{{{of}}}) > 0",
        "critical",
        TABLES_HELD_MEANS,
        "0m",
    )


def _of_checkpoints(deployment: DeploymentPlan) -> Iterator[_Alert]:
    of, plan = f'agent="{deployment.name}"', deployment.flink.checkpoints
    slow = CHECKPOINT_SHARE * plan.interval_ms
    yield _Alert(
        "CheckpointsSlow",
        f"max by (agent) (flink_jobmanager_job_lastCheckpointDuration{{{of}}}) > {slow:g}",
        "warning",
        f"a checkpoint takes over {slow:g} ms, half of its interval",
    )
    outage = f"{math.ceil(plan.tolerable_failures * plan.interval_ms / SECOND_MS)}s"
    failed = OUTAGE_SHARE * plan.tolerable_failures
    count = f"flink_jobmanager_job_numberOfFailedCheckpoints{{{of}}}"
    yield _Alert(
        "CheckpointsFail",
        f"max by (agent) (increase({count}[{outage}])) > {failed:g}",
        "critical",
        f"over {failed:g} checkpoints failed within {outage}, and {plan.tolerable_failures} restart the job",
        "0m",
    )


def _of_processes(deployment: DeploymentPlan) -> Iterator[_Alert]:
    of = f'agent="{deployment.name}"'
    for process in ("jobmanager", "taskmanager"):
        used, most = (f"flink_{process}_Status_JVM_Memory_Heap_{what}{{{of}}}" for what in ("Used", "Max"))
        yield _Alert(
            f"{process.capitalize()}HeapFull",
            f"max by (agent) ({used} / {most}) > {HEAP_SHARE:g}",
            "warning",
            f"the heap of a {process} is over {HEAP_SHARE:.0%} full",
        )
    pods = f'container="{MAIN_CONTAINER}", pod=~"{deployment.name}-taskmanager-.*"'
    rate = f"rate(container_cpu_usage_seconds_total{{{pods}}}[{LASTING}])"
    yield _Alert(
        "TaskmanagerCpuHigh",
        f"max(sum by (pod) ({rate})) > {CPU_SHARE * deployment.pods.taskmanager_cpu:g}",
        "warning",
        f"a TaskManager uses over {CPU_SHARE:.0%} of its {deployment.pods.taskmanager_cpu:g} vCPU",
    )
    yield _Alert(
        "BackPressure",
        f"max by (agent) (flink_taskmanager_job_task_backPressuredTimeMsPerSecond{{{of}}}) > "
        f"{BACK_PRESSURE_MS_PER_S}",
        "warning",
        "it stands still for over half of the time, as what follows takes no more",
    )
