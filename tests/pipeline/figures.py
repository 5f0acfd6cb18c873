"""What an agent's subtasks say of themselves, from the TaskManagers' Prometheus ports.

Flink's REST interface says the same up to ten seconds later.
"""

from __future__ import annotations

import re
from collections import defaultdict

import httpx

from headrace.local.context import HOST
from tests.pipeline.stack import LiveStack

TIMEOUT_S = 10
_SAMPLE = re.compile(r"flink_taskmanager_job_task_operator_(\w+)\{(.*?)\} (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def figures(stack: LiveStack, agent: str, name: str) -> dict[int, float]:
    """A gauge by subtask, of the agent's present job; what a lost TaskManager said is not there."""
    found: dict[int, float] = {}
    for port in stack.plan.ports.taskmanager_metrics:
        try:
            text = httpx.get(f"http://{HOST}:{port}/metrics", timeout=TIMEOUT_S, trust_env=False).text
        except httpx.HTTPError:
            continue
        found |= of(text, agent, name)
    return found


def of(text: str, agent: str, name: str) -> dict[int, float]:
    """From one process's page."""
    values: dict[int, float] = defaultdict(float)
    for metric, labels_text, value in _SAMPLE.findall(text):
        labels = dict(_LABEL.findall(labels_text))
        if metric == name and labels.get("job_name") == agent and labels.get("operator_name") == agent:
            values[int(labels["subtask_index"])] = float(value)
    return dict(values)
