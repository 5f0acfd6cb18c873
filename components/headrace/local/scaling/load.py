"""An agent's load, as its subtasks say it: gauges of the runtime and of Flink, rates between two looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from headrace.environment.units import SECOND_MS
from headrace.local.flink_metrics import Sample, samples
from headrace.local.scaling.decision import Observation

TOKENS = ("tokens_input", "tokens_output")
COUNTERS = ("events_settled", "processor_ms", "calls_answered", "calls_limited", *TOKENS)
"""Of a subtask since its worker started."""
GAUGES = ("inbox_events", "runs_waiting", "concurrency_limit", "calls_in_flight")
IN_KAFKA = "pendingRecords"
BUSY_MS = "busyTimeMsPerSecond"


@dataclass
class Load:
    """Of one agent; remembers what the counters said at the last look."""

    agent: str
    _counted: dict[tuple[str, int], float] = field(default_factory=dict)
    _at: float | None = None
    _job: str = ""

    def observe(
        self, pages: Iterable[str], at: float, job: str, running: int, wanted: int
    ) -> Observation | None:
        """None at the first look at a job, which knows no rates, and while its subtasks say nothing."""
        names = (*COUNTERS, *GAUGES, IN_KAFKA, BUSY_MS)
        found = [each for page in pages for each in samples(page, self.agent, names)]
        own = {(each.metric, each.subtask): each.value for each in found if each.operator == self.agent}
        rates = self._rates(own, at, job)
        if rates is None:
            return None
        return Observation(
            at=at,
            running=running,
            wanted=wanted,
            backlog=int(_sum(own, "inbox_events") + sum(e.value for e in found if e.metric == IN_KAFKA)),
            settled_per_s=rates["events_settled"],
            busy=min(1.0, max(_worker_busy(rates, own), _source_busy(found, self.agent))),
            answered_per_s=rates["calls_answered"],
            limited_per_s=rates["calls_limited"],
            tokens_per_s=sum(rates[each] for each in TOKENS),
            runs_waiting=int(_sum(own, "runs_waiting")),
            concurrency_limit=int(_sum(own, "concurrency_limit")),
            calls_in_flight=int(_sum(own, "calls_in_flight")),
        )

    def _rates(self, own: Mapping[tuple[str, int], float], at: float, job: str) -> dict[str, float] | None:
        """A second, over all subtasks; a worker that was started anew counts from 0, a new one not yet."""
        counted = {key: value for key, value in own.items() if key[0] in COUNTERS}
        before, since, is_same = self._counted, self._at, job == self._job
        self._counted, self._at, self._job = counted, at, job
        if since is None or at <= since or not is_same or not counted:
            return None
        rates = dict.fromkeys(COUNTERS, 0.0)
        for key, value in counted.items():
            past = before.get(key, value)
            rates[key[0]] += (value - past if value >= past else value) / (at - since)
        return rates


def calls_in_flight(pages: Iterable[str], agent: str) -> int:
    """By now, of all subtasks."""
    found = (each for page in pages for each in samples(page, agent, ["calls_in_flight"]))
    return int(sum(each.value for each in found))


def _worker_busy(rates: Mapping[str, float], own: Mapping[tuple[str, int], float]) -> float:
    """Mean over the subtasks of their Python workers' processor time, of a core each."""
    subtasks = {subtask for _, subtask in own}
    return rates["processor_ms"] / SECOND_MS / len(subtasks)


def _source_busy(found: Iterable[Sample], agent: str) -> float:
    """Mean over the subtasks of the source, which is JVM alone. Of the agent's own vertex Flink counts the
    waiting for its Python worker as being busy, so that says nothing of the processor."""
    samples = list(found)
    own_task = {each.task for each in samples if each.operator == agent}
    busy = [each.value for each in samples if each.metric == BUSY_MS and each.task not in own_task]
    return sum(busy) / len(busy) / SECOND_MS if busy else 0.0


def _sum(own: Mapping[tuple[str, int], float], metric: str) -> float:
    return sum(value for (name, _), value in own.items() if name == metric)
