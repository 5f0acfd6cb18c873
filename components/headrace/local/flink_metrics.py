"""What an agent's tasks say of themselves, from the TaskManagers' Prometheus ports.

Flink's REST interface says the same up to ten seconds later.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import httpx

from headrace.plan.ports import LOOPBACK

TIMEOUT_S = 10
_SAMPLE = re.compile(r"^flink_taskmanager_job_task_(operator_)?(\w+)\{(.*?)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Sample:
    metric: str
    task: str
    """Name of the vertex."""
    operator: str
    """Empty for a metric of the whole task."""
    subtask: int
    value: float


def pages(ports: Iterable[int]) -> list[str]:
    """Of the TaskManagers that answer."""
    found: list[str] = []
    for port in ports:
        try:
            answer = httpx.get(f"http://{LOOPBACK}:{port}/metrics", timeout=TIMEOUT_S, trust_env=False)
        except httpx.TransportError:
            continue
        found.append(answer.text)
    return found


def samples(page: str, job: str, metrics: Iterable[str]) -> Iterator[Sample]:
    """Those of the given names, of a job; what is no number is left out."""
    wanted = frozenset(metrics)
    for of_operator, metric, labels_text, value in _SAMPLE.findall(page):
        if metric not in wanted:
            continue
        labels = dict(_LABEL.findall(labels_text))
        number = float(value)
        if labels.get("job_name") == job and math.isfinite(number):
            operator = labels.get("operator_name", "") if of_operator else ""
            subtask = int(labels["subtask_index"])
            yield Sample(metric, labels.get("task_name", ""), operator, subtask, number)
