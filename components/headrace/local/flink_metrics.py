"""What an agent's tasks say of themselves, from the TaskManagers' Prometheus ports.

Flink's REST interface says the same up to ten seconds later.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import httpx

from headrace.local.flink_rest import NONE_KEPT
from headrace.plan.metric_names import OWN, documented
from headrace.plan.ports import LOOPBACK

TIMEOUT_S = 10
_SAMPLE = re.compile(r"^(flink_taskmanager_job_task_(operator_)?(\w+))\{(.*?)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Sample:
    metric: str
    """One of Flink's, or an agent's without ``headrace_``."""
    task: str
    """Name of the vertex."""
    operator: str
    """Empty for a metric of the whole task."""
    subtask: int
    value: float


class Pages:
    """Of the TaskManagers whose metrics are at these ports."""

    def __init__(self, ports: Iterable[int]) -> None:
        self._urls = [f"http://{LOOPBACK}:{port}/metrics" for port in ports]
        self._client = httpx.Client(timeout=TIMEOUT_S, trust_env=False, limits=NONE_KEPT)

    def read(self) -> list[str]:
        """Of those that answer."""
        found: list[str] = []
        for url in self._urls:
            with suppress(httpx.TransportError):
                found.append(self._client.get(url).text)
        return found


def samples(page: str, job: str, metrics: Iterable[str]) -> Iterator[Sample]:
    """Those of the given names, of a job; of several endpoints those of the first. What is no number is left
    out."""
    wanted = frozenset(metrics)
    for reported, of_operator, flinks, labels_text, value in _SAMPLE.findall(page):
        own = documented(reported)
        metric = flinks if own is None else own.removeprefix(OWN)
        if metric not in wanted:
            continue
        labels = dict(_LABEL.findall(labels_text))
        number = float(value)
        if labels.get("job_name") == job and math.isfinite(number) and _is_of_first_endpoint(labels):
            operator = labels.get("operator_name", "") if of_operator else ""
            subtask = int(labels["subtask_index"])
            yield Sample(metric, labels.get("task_name", ""), operator, subtask, number)


def _is_of_first_endpoint(labels: Mapping[str, str]) -> bool:
    return labels.get("endpoint", "0") == "0" and labels.get("gen_ai_operation_name", "chat") == "chat"
