"""All metrics of an agent, as they are documented: what :mod:`headrace_agents.flink.function` shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from headrace_agents.figures import OWN, Kind, metrics_of
from headrace_agents.kafka_journal import JournalFigures
from headrace_agents.loop import RunFigures
from headrace_agents.model.breaker import BreakerFigures
from headrace_agents.model.budget import BudgetFigures
from headrace_agents.model.cache import CacheFigures
from headrace_agents.model.concurrency import ConcurrencyFigures
from headrace_agents.model.costs import CostFigures
from headrace_agents.model.endpoint import CallFigures
from headrace_agents.model.fallback import ChainFigures
from headrace_agents.operator import Figures

OF_A_SUBTASK: tuple[Any, ...] = (Figures, RunFigures, JournalFigures, CostFigures, ChainFigures, CacheFigures)
OF_AN_ENDPOINT: tuple[Any, ...] = (ConcurrencyFigures, CallFigures, BreakerFigures, BudgetFigures)
ENDPOINT_LABELS = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "endpoint")


class Documented(NamedTuple):
    name: str
    """As Prometheus has it; a histogram's without ``_bucket``, ``_count`` and ``_sum``."""
    kind: Kind
    labels: tuple[str, ...]
    meaning: str


def table() -> Iterator[Documented]:
    for classes, labels in ((OF_A_SUBTASK, ()), (OF_AN_ENDPOINT, ENDPOINT_LABELS)):
        for each in classes:
            for metric in metrics_of(each):
                own = (metric.label,) if metric.label else ()
                name = f"{OWN}_{metric.name}" if metric.is_own else metric.name
                yield Documented(name, metric.kind, (*labels, *own), metric.meaning)
