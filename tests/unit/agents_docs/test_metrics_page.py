"""docs/metrics.md says what the code's own figures say.

`agent_jobs/.venv/bin/python -m tests.unit.agents_docs.test_metrics_page` writes it.
"""

from __future__ import annotations

import re
from pathlib import Path

from headrace_agents.metric_table import ENDPOINT_LABELS, Documented, table

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
VALID = re.compile(r"(headrace|gen_ai_client)(_[a-z0-9]+)+")

_HEAD = """# What an agent says of itself

Generated from the runtime's own figures. Flink's reporter for Prometheus gives them out at the TaskManagers;
what scrapes there, the local stack's Prometheus or the managed scraper on AWS, gives them these names
(`headrace.plan.metric_names`). All are of one subtask: Flink's labels `subtask_index` and `job_name` are
beside those of the table, and `gen_ai_agent_name` is the agent. Counters begin at 0 when their subtask does,
so `rate` and `increase` are what to ask for; they come a few times a second, and at the end of work.
`tests/local/test_metrics.py` scrapes every one of them from a running stack, and finds no other.

Prompts, answers and memory are in none of them, nor are keys.

Names that begin with `gen_ai_client` are [OpenTelemetry's](
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/), with its units, labels and bounds; each
is `_bucket`, `_count` and `_sum`. Flink's gauges from Python are whole numbers, so the sum of durations is
scraped as `gen_ai_client_operation_duration_microseconds_sum`, from which a rule records
`gen_ai_client_operation_duration_seconds_sum`.

"""
_ENDPOINTS = """
## Of each endpoint

Of the model, its fallbacks and the embedding model, with the labels
{labels}:
`endpoint` is its place in the chain, from 0.

"""
_QUESTIONS = """
## Questions

```promql
# 99th percentile of the time that a model takes, over all subtasks
histogram_quantile(0.99, sum by (le, gen_ai_request_model) (
  rate(gen_ai_client_operation_duration_seconds_bucket[5m])))
# dollars an hour, by agent
sum by (gen_ai_agent_name) (rate(headrace_cost_microdollars[5m])) * 3600 / 1e6
# left of the day's budget, in dollars: what nobody was granted yet, and what subtasks hold
(min by (gen_ai_agent_name) (headrace_budget_left_microdollars)
  + sum by (gen_ai_agent_name) (headrace_budget_held_microdollars)) / 1e6
# share of events that end as dead letters
sum by (gen_ai_agent_name) (rate(headrace_dead_letters[5m]))
  / sum by (gen_ai_agent_name) (rate(headrace_events_settled[5m]))
```
"""


def page() -> str:
    everything = list(table())
    own = [each for each in everything if not set(ENDPOINT_LABELS) <= set(each.labels)]
    of_endpoints = [each for each in everything if each not in own]
    labels = ", ".join(f"`{each}`" for each in ENDPOINT_LABELS)
    return _HEAD + _table(own) + _ENDPOINTS.format(labels=labels) + _table(of_endpoints) + _QUESTIONS


def _table(metrics: list[Documented]) -> str:
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for each in metrics:
        own = ", ".join(f"`{label}`" for label in each.labels if label not in ENDPOINT_LABELS)
        lines.append(f"| `{each.name}` | {each.kind} | {own} | {each.meaning} |")
    return "\n".join(lines) + "\n"


def test_the_page_is_what_the_figures_say() -> None:
    assert PAGE.read_text() == page()


def test_names_are_prometheus_own_and_are_used_once() -> None:
    names = [each.name for each in table()]
    assert [name for name in names if not VALID.fullmatch(name)] == []
    assert len(set(names)) == len(names)


def test_every_metric_has_a_meaning() -> None:
    assert [each.name for each in table() if not each.meaning.endswith(".")] == []


if __name__ == "__main__":
    PAGE.write_text(page())
