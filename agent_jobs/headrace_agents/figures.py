"""What a subtask says of itself: the fields of its figures carry the meaning of the metrics that they become.

Written on the thread of the runs or of the operator, read on that of the operator: each is one assignment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import field, fields
from typing import Any, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]
"""A counter begins at 0 when its subtask does."""

MOST_VALUES = 50
"""Of one label: what comes beyond is counted as ``other``, so that no author fills Prometheus."""
OTHER = "other"

OWN = "headrace"
"""What a metric's name begins with, as everybody but us has it."""
OPEN_TELEMETRY = "gen_ai_"
"""Names that begin so are OpenTelemetry's, and stay as they are."""

_MEANING = "metric"


class Metric(NamedTuple):
    """One metric, by its field."""

    name: str
    kind: Kind
    meaning: str
    label: str = ""
    """Whose values it is told by; empty where it is one number."""

    @property
    def is_own(self) -> bool:
        """Not OpenTelemetry's."""
        return not self.name.startswith(OPEN_TELEMETRY)


class Counts(dict[str, int]):
    """Numbers by the value of a label."""

    def add(self, value: str) -> None:
        if value not in self and len(self) >= MOST_VALUES:
            value = OTHER
        self[value] = self.get(value, 0) + 1


class Histogram:
    """Counts by upper bound, inclusive as Prometheus' are; beyond the last bound is one more."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """``le`` and how many were at most that; the last one is ``+Inf`` with all."""
        so_far = 0
        for bound, count in zip((*self.bounds, None), self.counts, strict=True):
            so_far += count
            yield "+Inf" if bound is None else f"{bound:g}", so_far


class Histograms(dict[str, Histogram]):
    """Histograms by the value of a label; of an empty value, the label is left out."""

    def __init__(self, bounds: Sequence[float], scale: int = 1, sum_name: str = "") -> None:
        super().__init__()
        self._bounds = bounds
        self.scale, self.sum_name = scale, sum_name
        """What a sum is multiplied by, as Flink's gauges from Python are whole numbers, and its name then."""

    def observe(self, value: str, number: float) -> None:
        found = self.get(value)
        if found is None:
            found = self[value] = Histogram(self._bounds)
        found.observe(number)


def counter(meaning: str) -> Any:
    """A dataclass's field that only grows."""
    return field(default=0, metadata={_MEANING: ("counter", meaning, "")})


def gauge(meaning: str, default: int = 0) -> Any:
    """A dataclass's field that says how something is."""
    return field(default=default, metadata={_MEANING: ("gauge", meaning, "")})


def counts(label: str, meaning: str) -> Any:
    """A dataclass's field of :class:`Counts`."""
    return field(default_factory=Counts, metadata={_MEANING: ("counter", meaning, label)})


def histograms(label: str, meaning: str, bounds: Sequence[float], scale: int = 1, sum_name: str = "") -> Any:
    """A dataclass's field of :class:`Histograms`."""
    return field(
        default_factory=lambda: Histograms(bounds, scale, sum_name),
        metadata={_MEANING: ("histogram", meaning, label)},
    )


def metrics_of(figures: Any) -> Iterator[Metric]:
    """Of a dataclass or an instance of one, in the order of its fields."""
    for each in fields(figures):
        kind, meaning, label = each.metadata[_MEANING]
        yield Metric(each.name, kind, meaning, label)
