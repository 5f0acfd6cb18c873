"""A subtask's figures as Flink's metrics: its gauges, as nothing else from Python reaches Prometheus whole.

Flink would send every gauge with every bundle, at about 15 us of the worker's processor for each, 200 times
a second. They are sent a few times a second, and when there is nothing more to do: what Prometheus then
reads is what was, however long nothing happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from apache_beam.metrics.execution import MetricsEnvironment
from apache_beam.metrics.metric import Metrics
from pyflink.metrics import MetricGroup

from headrace_agents.figures import OWN, Counts, Histograms, Metric, metrics_of

TELL_S = 0.25
"""Between two times that figures are sent under load."""
_NO_LABELS: Mapping[str, str] = {}

Labels = tuple[tuple[str, str], ...]
Reading = tuple[str, Labels, int]
"""Name, labels, value of a sample."""


class FlinkMetrics:
    """Used on the operator's thread. ``refresh`` is called before figures are sent."""

    def __init__(
        self,
        group: MetricGroup,
        refresh: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._group, self._refresh, self._clock = group, refresh, clock
        self._figures: list[tuple[Any, Metric, Labels]] = []
        self._gauges: dict[tuple[str, Labels], Callable[[int], None]] = {}
        self._tell_at = clock()

    def add(self, *figures: Any, labels: Mapping[str, str] = _NO_LABELS) -> None:
        """Every field of the given dataclasses, with these labels; None is left out."""
        for each in figures:
            for metric in () if each is None else metrics_of(each):
                self._figures.append((each, metric, tuple(labels.items())))

    def end_bundle(self, *, is_idle: bool) -> None:
        """To be called in each bundle, before Flink asks for its metrics."""
        # What was ever sent would be sent again with each bundle.
        MetricsEnvironment.current_container().metrics.clear()  # type: ignore[no-untyped-call]  # Beam has no types
        now = self._clock()
        if now < self._tell_at and not is_idle:
            return
        self._tell_at = now + TELL_S
        self._refresh()
        for figures, metric, labels in self._figures:
            for name, all_labels, value in samples_of(metric, getattr(figures, metric.name), labels):
                gauge = self._gauges.get((name, all_labels))
                if gauge is None:
                    gauge = self._registered(metric, name, all_labels)
                    self._gauges[name, all_labels] = gauge
                gauge(value)

    def _registered(self, metric: Metric, name: str, labels: Labels) -> Callable[[int], None]:
        """Flink puts the names of all groups before a metric's: its own comes after those of its labels."""
        group = self._group
        for label, value in labels:
            group = group.add_group(label, value)
        if metric.is_own:
            group = group.add_group(OWN)
        namespace = group._get_namespace()  # noqa: SLF001 - as its own gauges do
        set_to: Callable[[int], None] = Metrics.gauge(namespace, name).set
        return set_to


def samples_of(metric: Metric, value: Any, labels: Labels = ()) -> Iterator[Reading]:
    """As Prometheus has them: a histogram is its buckets, their number, and their sum."""
    match value:
        case Counts():
            for each, count in list(value.items()):
                yield metric.name, (*labels, (metric.label, each)), count
        case Histograms():
            for each, histogram in list(value.items()):
                own = (*labels, (metric.label, each)) if each else labels
                so_far = 0
                for bound, so_far in histogram.cumulative():
                    yield f"{metric.name}_bucket", (*own, ("le", bound)), so_far
                yield f"{metric.name}_count", own, so_far
                yield value.sum_name or f"{metric.name}_sum", own, round(histogram.total * value.scale)
        case _:
            yield metric.name, labels, value
