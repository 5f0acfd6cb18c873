"""What the docs say of metrics arrives in Prometheus, by the configuration that the local stack gives it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from headrace.local.context import HOST
from headrace.local.processes import end
from headrace.local.prometheus import CONFIG, configuration
from headrace.toolchain import prometheus_for_tests
from tests.pipeline.injection import inject
from tests.pipeline.plugin import Pipeline
from tests.pipeline.poison import UNDECIDABLE
from tests.pipeline.waiting import until

ROOT = Path(__file__).parents[2]
AGENT, TOPIC = "support-triage", "support.public.tickets"
PAGES = ("metrics.md", "capture.md")
ROW = re.compile(r"^\| `(\w+)` \| (counter|gauge|histogram) \| (.*?) \|", re.MULTILINE)
IN_SECONDS = "gen_ai_client_operation_duration_seconds"
OF_AN_OPERATOR = re.compile(r"flink_taskmanager_job_task_operator_([a-z0-9_]+)")
"""Flink's own are in camel case."""
TICKETS = 20
READY_TIMEOUT_S, SCRAPED_TIMEOUT_S = 30, 60
PROMETHEUS = shutil.which(
    "prometheus", path=f"{os.environ['PATH']}{os.pathsep}{prometheus_for_tests.bin_folder()}"
)


class Prometheus:
    """Its HTTP interface."""

    def __init__(self, endpoint: str) -> None:
        self._client = httpx.Client(base_url=f"{endpoint}/api/v1", trust_env=False)

    def ready(self) -> bool:
        try:
            return self._client.get("/status/runtimeinfo").is_success
        except httpx.TransportError:
            return False

    def sum(self, query: str) -> float:
        """Over all subtasks, of what is scraped now; 0 where nothing is."""
        answer = self._client.get("/query", params={"query": f"sum({query})"}).raise_for_status().json()
        return sum(float(each["value"][1]) for each in answer["data"]["result"])

    def has_since(self, query: str, moment: float) -> bool:
        """Whether all of it was scraped after that (epoch seconds)."""
        answer = (
            self._client.get("/query", params={"query": f"min(timestamp({query}))"}).raise_for_status().json()
        )
        found = answer["data"]["result"]
        return bool(found) and float(found[0]["value"][1]) > moment

    def close(self) -> None:
        self._client.close()

    def names(self) -> set[str]:
        answer = self._client.get("/label/__name__/values").raise_for_status().json()
        return set(answer["data"])


@contextmanager
def prometheus(pipeline: Pipeline, folder: Path) -> Iterator[Prometheus]:
    """The stack's own where Prometheus is installed; else one in its place, with the same configuration."""
    ports = pipeline.stack.plan.ports
    page = Prometheus(f"http://{HOST}:{ports.prometheus}")
    if page.ready():
        try:
            yield page
        finally:
            page.close()
        return
    assert PROMETHEUS is not None
    for name, text in configuration(ports).items():
        (folder / name).write_text(text)
    started = subprocess.Popen(
        [
            PROMETHEUS,
            f"--config.file={folder / CONFIG}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={HOST}:{ports.prometheus}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until("Prometheus", page.ready, READY_TIMEOUT_S)
        yield page
    finally:
        page.close()
        end([psutil.Process(started.pid)])
        started.wait()


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
    PROMETHEUS is None, reason="not proved: that metrics arrive in Prometheus; no Prometheus is here"
)
def test_every_documented_metric_is_scraped_and_no_other_of_ours(pipeline: Pipeline, tmp_path: Path) -> None:
    settled = f'headrace_events_settled{{gen_ai_agent_name="{AGENT}"}}'
    decided = f'headrace_decisions{{gen_ai_agent_name="{AGENT}"}}'
    calls = f'{IN_SECONDS}_count{{gen_ai_agent_name="{AGENT}"}}'
    answered = f'headrace_calls_answered{{gen_ai_agent_name="{AGENT}"}}'
    pipeline.load.insert(1)
    pipeline.verify()
    with prometheus(pipeline, tmp_path) as scraped:
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
