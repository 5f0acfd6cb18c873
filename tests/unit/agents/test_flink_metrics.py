"""Figures as Flink's gauges, in Beam's own container of a bundle."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Beam and PyFlink warn of themselves
    from apache_beam.metrics.execution import MetricsContainer
    from apache_beam.runners.worker.statesampler import StateSampler
    from apache_beam.utils.counters import CounterFactory
    from pyflink.fn_execution.metrics.process.metric_impl import GenericMetricGroup

    from headrace_agents.flink.function import add_endpoints
    from headrace_agents.flink.metrics import TELL_S, FlinkMetrics, samples_of

from headrace_agents.figures import (
    MOST_VALUES,
    OTHER,
    Counts,
    Histogram,
    Histograms,
    counter,
    counts,
    gauge,
    histograms,
    metrics_of,
)
from headrace_agents.model.connecting import endpoint_state, state_of
from headrace_agents.spec import EmbeddingSpec


@dataclass(slots=True)
class Some:
    settled: int = counter("Events.")
    waiting: int = gauge("Events that wait.", 7)
    decisions: Counts = counts("kind", "Decisions.")
    gen_ai_client_duration_seconds: Histograms = histograms(
        "error_type", "How long.", (0.5, 1, 2), 1000, "gen_ai_client_duration_milliseconds_sum"
    )


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def container() -> Iterator[Any]:
    """The bundle's, of the operator that is at work."""
    container = MetricsContainer("agent")  # type: ignore[no-untyped-call]  # Beam has no types
    sampler = StateSampler("agent", CounterFactory())  # type: ignore[no-untyped-call]  # Beam has no types
    state = sampler.scoped_state("agent", "finish", metrics_container=container)
    sampler.start()
    with state:
        yield container
    sampler.stop()


def sent(container: Any) -> dict[tuple[str, str], int]:
    """Group and name -> value, of what Flink would be told with this bundle."""
    return {
        (".".join(_names(key.metric_name.namespace)), key.metric_name.name): cell.get_cumulative().value
        for key, cell in container.metrics.items()
    }


def _names(namespace: str) -> list[str]:
    names: list[str] = json.loads(namespace)
    return names[: len(names) // 2]


def test_figures_are_sent_with_their_labels(container: Any) -> None:
    some = Some(settled=3)
    some.decisions.add("Refund")
    some.decisions.add("Refund")
    refreshed: list[int] = []
    metrics = FlinkMetrics(GenericMetricGroup(None, None), lambda: refreshed.append(1))
    metrics.add(some, None, labels={"endpoint": "0"})

    metrics.end_bundle(is_idle=True)

    assert sent(container) == {
        ("endpoint.0.headrace", "settled"): 3,
        ("endpoint.0.headrace", "waiting"): 7,
        ("endpoint.0.kind.Refund.headrace", "decisions"): 2,
    }
    assert refreshed == [1]


def test_groups_are_said_as_flinks_own_gauges_say_them(container: Any) -> None:
    root = GenericMetricGroup(None, None)
    metrics = FlinkMetrics(root, lambda: None)
    metrics.add(Some(), labels={"endpoint": "0"})
    metrics.end_bundle(is_idle=True)
    own = root.add_group("endpoint", "0").add_group("headrace")
    own.gauge("compared", lambda: 1)
    theirs = own._beam_gauge["compared"].metric_name.namespace
    assert {key.metric_name.namespace for key in container.metrics} == {theirs}


def test_under_load_they_are_sent_a_few_times_a_second_and_nothing_else_is(
    container: Any,
) -> None:
    some, clock = Some(), Clock()
    metrics = FlinkMetrics(GenericMetricGroup(None, None), lambda: None, clock=clock)
    metrics.add(some)
    told: list[int | None] = []
    for settled in range(100):
        some.settled = settled
        metrics.end_bundle(is_idle=False)
        told.append(sent(container).get(("headrace", "settled")))
        container.reset()
        clock.now += TELL_S / 25
    assert [each for each in told if each is not None] == [0, 25, 50, 75]


def test_what_is_last_is_sent_at_once(container: Any) -> None:
    some, clock = Some(), Clock()
    metrics = FlinkMetrics(GenericMetricGroup(None, None), lambda: None, clock=clock)
    metrics.add(some)
    metrics.end_bundle(is_idle=False)
    some.settled = 9
    metrics.end_bundle(is_idle=False)
    assert not sent(container)
    metrics.end_bundle(is_idle=True)
    assert sent(container)["headrace", "settled"] == 9


def test_a_histogram_is_its_buckets_their_number_and_a_sum_in_whole_numbers() -> None:
    some = Some()
    for seconds in (0.5, 0.6, 3.0):
        some.gen_ai_client_duration_seconds.observe("", seconds)
    some.gen_ai_client_duration_seconds.observe("timeout", 1.5)
    (metric,) = (each for each in metrics_of(Some) if each.kind == "histogram")
    name = "gen_ai_client_duration_seconds"
    assert list(samples_of(metric, some.gen_ai_client_duration_seconds)) == [
        (f"{name}_bucket", (("le", "0.5"),), 1),
        (f"{name}_bucket", (("le", "1"),), 2),
        (f"{name}_bucket", (("le", "2"),), 2),
        (f"{name}_bucket", (("le", "+Inf"),), 3),
        (f"{name}_count", (), 3),
        ("gen_ai_client_duration_milliseconds_sum", (), 4100),
        (f"{name}_bucket", (("error_type", "timeout"), ("le", "0.5")), 0),
        (f"{name}_bucket", (("error_type", "timeout"), ("le", "1")), 0),
        (f"{name}_bucket", (("error_type", "timeout"), ("le", "2")), 1),
        (f"{name}_bucket", (("error_type", "timeout"), ("le", "+Inf")), 1),
        (f"{name}_count", (("error_type", "timeout"),), 1),
        ("gen_ai_client_duration_milliseconds_sum", (("error_type", "timeout"),), 1500),
    ]


def test_a_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram((1, 4))
    for value in (0, 1, 2, 4, 5):
        histogram.observe(value)
    assert list(histogram.cumulative()) == [("1", 2), ("4", 4), ("+Inf", 5)]


def test_a_label_has_so_many_values_and_no_more() -> None:
    kinds = Counts()
    for number in range(MOST_VALUES + 5):
        kinds.add(f"kind-{number}")
    kinds.add("kind-0")
    assert len(kinds) == MOST_VALUES + 1
    assert (kinds[OTHER], kinds["kind-0"]) == (5, 2)


def test_an_agent_of_vectors_alone_tells_of_their_calls(container: Any) -> None:
    vectors = EmbeddingSpec(
        endpoint="http://model.test/v1", name="near", timeout_ms=1, max_attempts=1, max_concurrency=4
    )
    metrics = FlinkMetrics(GenericMetricGroup(None, None), lambda: None)
    add_endpoints(metrics, None, state_of(None), vectors, endpoint_state(vectors))
    metrics.end_bundle(is_idle=True)
    told = sent(container)
    labels = (
        "gen_ai_operation_name.embeddings.gen_ai_provider_name.openai.gen_ai_request_model.near.endpoint.0"
    )
    assert told[f"{labels}.headrace", "concurrency_limit"] == 4
    assert told["headrace", "concurrency_limit"] == 1, "of its runs"
