"""`make bench`: what the channel adds to a model's own time, part by part.

50 inserts/s go to one agent whose model, the scripted one, takes 200 ms; first with at-least-once, then
with exactly-once delivery. For each outcome the way from the database's commit to a ``read_committed``
consumer is split where the records carry times.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from headrace.local.context import HOST
from headrace.local.flink_rest import FlinkRest
from headrace.operations.clean import clean
from headrace.operations.decisions import Decided, follow
from headrace.operations.demo import connect
from headrace.operations.stack import Stack
from headrace.operations.status import status
from headrace.operations.up import up
from tests.bench import machine, report

DECLARATION = Path(__file__).with_name("Pulumi.bench.yaml")
EVENTS_PER_SECOND = 50
MODEL_MS = 200
CUSTOMERS = 2_000
PATIENCE_S = 60
DELIVERIES = ("at-least-once", "exactly-once")
PARTS = ("commit_to_kafka", "kafka_to_run", "run", "run_to_visible", "total", "added")


def main() -> None:
    options = _options()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        declaration = Path(folder) / DECLARATION.name
        found: dict[str, Any] = {}
        for number, delivery in enumerate(DELIVERIES):
            declaration.write_text(DECLARATION.read_text().replace(DELIVERIES[0], delivery))
            stack = Stack.find("bench", declaration, machine.PROJECT)
            try:
                found[delivery] = _measure(stack, options, console, first_id=number * 100_000_000)
            finally:
                clean(stack)
    figures = {
        "load": {"events_per_second": EVENTS_PER_SECOND, "model_ms": MODEL_MS, "seconds": options.seconds},
        "checkpoint_interval_ms": stack.plan.flink.checkpoints.interval_ms,
        **{part: {delivery: found[delivery][part] for delivery in found} for part in found[DELIVERIES[0]]},
    }
    path = machine.write("latency", figures)
    report.write()
    console.print(*_tables(figures))
    console.print(f"written to {os.path.relpath(path)}")


def _measure(stack: Stack, options: argparse.Namespace, console: Console, first_id: int) -> dict[str, Any]:
    up(stack, console, demo=False)
    _set_model_latency(stack)
    _load_and_collect(stack, options.warm_up, first_id)
    runs = []
    for number in range(1, options.runs + 1):
        outcomes = _load_and_collect(stack, options.seconds, first_id + number * 1_000_000)
        runs.append(_split(outcomes))
        console.print(f"run {number} of {options.runs}: {len(outcomes)} outcomes")
    (agent,) = stack.plan.agents
    return {
        "latency_ms": _over_runs(runs),
        "checkpoint_ms": _checkpoints(stack, agent.name),
        "memory_mib": {p["name"]: p["memory_mib"] for p in status(stack)["processes"]},
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=60, help="of load, per run")
    parser.add_argument("--warm-up", type=int, default=30, help="seconds of load that are not counted")
    return parser.parse_args()


def _set_model_latency(stack: Stack) -> None:
    url = f"http://{HOST}:{stack.plan.ports.scripted_model}/settings"
    httpx.put(url, json={"latency_ms": MODEL_MS}, trust_env=False).raise_for_status()


def _load_and_collect(stack: Stack, seconds: int, first_id: int) -> list[Decided]:
    """Outcomes of `seconds` of load; ends the benchmark if any is missing."""
    outcomes = follow(stack.plan, f"{HOST}:{stack.plan.ports.kafka}")
    next(outcomes)
    count = seconds * EVENTS_PER_SECOND
    load = threading.Thread(target=_insert, args=(stack, first_id, count))
    load.start()
    found: list[Decided] = []
    deadline = time.monotonic() + seconds + PATIENCE_S
    while len(found) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"{count - len(found)} of {count} outcomes are missing")
        if decided := next(outcomes):
            found.append(decided)
    load.join()
    return found


def _insert(stack: Stack, first_id: int, count: int) -> None:
    """At a constant rate that does not wait for anything (open loop)."""
    statement = (
        "INSERT INTO public.tickets (id, customer_id, subject, body, status)"
        " VALUES (%s, %s, 'Invoice', 'The amount is wrong.', 'open')"
    )
    started = time.monotonic()
    with connect(stack, "support") as connection:
        for number in range(count):
            time.sleep(max(0.0, started + number / EVENTS_PER_SECOND - time.monotonic()))
            connection.execute(statement, [first_id + number, number % CUSTOMERS])


def _split(outcomes: list[Decided]) -> dict[str, dict[str, float]]:
    parts: dict[str, list[float]] = {part: [] for part in PARTS}
    for decided in outcomes:
        times = decided.outcome["times"]
        way = (
            times["committed_at_ms"],
            times["kafka_at_ms"],
            times["started_at_ms"],
            times["finished_at_ms"],
        )
        for part, start, end in zip(PARTS, way, (*way[1:], decided.seen_at_ms), strict=False):
            parts[part].append(end - start)
        total = decided.seen_at_ms - way[0]
        parts["total"].append(total)
        parts["added"].append(total - MODEL_MS)
    return {
        part: {"p50": _quantile(values, 50), "p99": _quantile(values, 99)} for part, values in parts.items()
    }


def _quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _over_runs(runs: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    return {
        part: {q: machine.spread([run[part][q] for run in runs]) for q in ("p50", "p99")} for part in PARTS
    }


def _checkpoints(stack: Stack, agent: str) -> dict[str, float]:
    """Flink's own summary of end-to-end durations."""
    rest = FlinkRest(f"http://{HOST}:{stack.plan.ports.flink_rest}")
    return rest.checkpoint_durations_ms(rest.jobs(agent)[0].id)


def _tables(figures: dict[str, Any]) -> list[Table]:
    latency = Table(title="Milliseconds, median of the runs (least to most)", title_justify="left")
    latency.add_column("part")
    agents = list(figures["latency_ms"])
    for agent in agents:
        latency.add_column(f"{agent} p50", justify="right")
        latency.add_column(f"{agent} p99", justify="right")
    for part in PARTS:
        cells = [figures["latency_ms"][agent][part][q] for agent in agents for q in ("p50", "p99")]
        latency.add_row(part, *(f"{c['median']:.0f} ({c['min']:.0f}-{c['max']:.0f})" for c in cells))
    checkpoints = Table(title="Checkpoint duration, ms", title_justify="left")
    for column in ("delivery", "count", "p50", "p99", "max"):
        checkpoints.add_column(column)
    for agent, found in figures["checkpoint_ms"].items():
        checkpoints.add_row(agent, *(f"{found[c]:.0f}" for c in ("count", "p50", "p99", "max")))
    memory = Table(title="Memory (PSS with children), MiB", title_justify="left")
    memory.add_column("process")
    memory.add_column("MiB", justify="right")
    for process, mib in figures["memory_mib"][DELIVERIES[0]].items():
        memory.add_row(process, str(mib))
    return [latency, checkpoints, memory]


if __name__ == "__main__":
    main()
