"""What the docs say of metrics arrives in Prometheus, by the configuration that the local stack gives it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.pipeline.injection import inject
from tests.pipeline.plugin import Pipeline
from tests.pipeline.poison import UNDECIDABLE
from tests.pipeline.prometheus import PROGRAM, prometheus
from tests.pipeline.waiting import until

ROOT = Path(__file__).parents[2]
AGENT, TOPIC = "support-triage", "support.public.tickets"
PAGES = ("metrics.md", "capture.md")
ROW = re.compile(r"^\| `(\w+)` \| (counter|gauge|histogram) \| (.*?) \|", re.MULTILINE)
IN_SECONDS = "gen_ai_client_operation_duration_seconds"
OF_AN_OPERATOR = re.compile(r"flink_taskmanager_job_task_operator_([a-z0-9_]+)")
"""Flink's own are in camel case."""
TICKETS = 20
SCRAPED_TIMEOUT_S = 60


def documented() -> set[str]:
    """Names of series, as the pages have them."""
    rows = [row for page in PAGES for row in ROW.findall((ROOT / "docs" / page).read_text())]
    names = {name for name, kind, _ in rows if kind != "histogram"}
    histograms = {name for name, kind, _ in rows if kind == "histogram"}
    in_microseconds = f"{IN_SECONDS.removesuffix('seconds')}microseconds_sum"
    return (
        names
        | {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}
        | {in_microseconds}
    )


def ours(names: set[str]) -> set[str]:
    """By their prefix; or by how they are written, whatever they are called."""
    return {
        name for name in names if name.startswith(("headrace_", "gen_ai_")) or OF_AN_OPERATOR.fullmatch(name)
    }


@pytest.mark.skipif(
    PROGRAM is None, reason="not proved: that metrics arrive in Prometheus; no Prometheus is here"
)
def test_every_documented_metric_is_scraped_and_no_other_of_ours(pipeline: Pipeline, tmp_path: Path) -> None:
    settled = f'headrace_events_settled{{gen_ai_agent_name="{AGENT}"}}'
    decided = f'headrace_decisions{{gen_ai_agent_name="{AGENT}"}}'
    calls = f'{IN_SECONDS}_count{{gen_ai_agent_name="{AGENT}"}}'
    answered = f'headrace_calls_answered{{gen_ai_agent_name="{AGENT}"}}'
    pipeline.load.insert(1)
    pipeline.verify()
    with prometheus(pipeline.stack, tmp_path) as scraped:
        now = time.time()
        until("a scrape", lambda: scraped.has_since(settled, now), SCRAPED_TIMEOUT_S)
        decisions = len(pipeline.ledger.book().agents[AGENT].decisions)
        before = {query: scraped.sum(query) for query in (settled, decided, calls, answered)}
        name, (key, value, _) = next(iter(UNDECIDABLE.items()))
        inject(pipeline.stack.bootstrap_servers, TOPIC, {name: (key, value)})
        pipeline.load.insert(TICKETS)
        made = len(pipeline.verify().agents[AGENT].decisions) - decisions
        until(
            "all documented metrics",
            lambda: documented() <= scraped.names(),
            SCRAPED_TIMEOUT_S,
            lambda: sorted(documented() - scraped.names()),
        )
        then = time.time()
        until("the last counts", lambda: scraped.has_since(settled, then), SCRAPED_TIMEOUT_S)
        added = {query: scraped.sum(query) - before[query] for query in before}
        assert ours(scraped.names()) == documented()
        assert added[decided] == made >= TICKETS
        assert added[settled] == TICKETS + 1
        assert added[calls] == added[answered] >= TICKETS
        took = scraped.sum(f"{IN_SECONDS}_sum") / scraped.sum(f"{IN_SECONDS}_count")
        assert 0.001 < took < 10, "seconds"
