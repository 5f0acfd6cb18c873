"""`make bench-cdc`: from the commit of a change to its record in Kafka, at rising rates.

Four writers change single rows, each in a transaction of its own, at a constant rate that does not wait for
anything. A change is counted when a ``read_committed`` consumer has its record; when it was committed is what
PostgreSQL says (``source.ts_us``), by the same clock. What the stack runs beside database, Connect and Kafka
is stopped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from rich.console import Console
from rich.table import Table

from headrace.local.context import HOST
from headrace.local.supervision import Supervisor
from headrace.operations.clean import clean
from headrace.operations.demo import connect
from headrace.operations.stack import Stack
from headrace.operations.up import up
from tests.bench import machine, report

DECLARATION = Path(__file__).with_name("Pulumi.bench.yaml")
TOPIC = "support.public.tickets"
NEEDED = ("kafka", "postgres", "connect")
RATES = (500, 1_000, 2_000, 3_000, 4_000, 6_000)
WRITERS = 4
CUSTOMERS = 2_000
P50_MS, P99_MS = 30, 150
"""What has to hold at the first rate; the search ends where it does not."""
PATIENCE_S = 60
FETCH_MS = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.capture", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="at the first rate; the others have one")
    parser.add_argument("--seconds", type=int, default=30, help="of load, per run")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        declaration = Path(folder) / DECLARATION.name
        declaration.write_text(DECLARATION.read_text())
        stack = Stack.find("bench", declaration, machine.PROJECT)
        try:
            up(stack, console, demo=False)
            supervisor = Supervisor(stack.files)
            for program in supervisor.pids().keys() - set(NEEDED):
                supervisor.remove(program)
            rates = _measure(stack, options, console)
        finally:
            clean(stack)
    path = machine.write("cdc", {"seconds": options.seconds, "writers": WRITERS, "rates": rates})
    report.write()
    console.print(_table(rates), f"written to {os.path.relpath(path)}")


def _measure(stack: Stack, options: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    captured = Captured(f"{HOST}:{stack.plan.ports.kafka}")
    first_id, found = 0, []
    try:
        # Not counted: Connect's and PostgreSQL's caches fill.
        first_id = _run(stack, captured, RATES[0], options.seconds, first_id)["next_id"]
        for rate in RATES:
            runs = []
            for _ in range(options.runs if rate == RATES[0] else 1):
                runs.append(_run(stack, captured, rate, options.seconds, first_id))
                first_id = runs[-1]["next_id"]
                console.print(rate, runs[-1])
            found.append(_spreads(rate, runs))
            if not found[-1]["holds"]:
                break
    finally:
        captured.close()
    return found


def _run(stack: Stack, captured: Captured, rate: int, seconds: int, first_id: int) -> dict[str, Any]:
    count = rate * seconds
    writers = multiprocessing.get_context("spawn").Process(target=_write, args=(stack, first_id, count, rate))
    writers.start()
    began = time.monotonic()
    added_ms = captured.of(count, time.monotonic() + seconds + PATIENCE_S)
    took = time.monotonic() - began
    writers.join()
    cut = statistics.quantiles(added_ms, n=100, method="inclusive")
    return {
        "p50": cut[49],
        "p99": cut[98],
        "max": max(added_ms),
        "seconds": took,
        "next_id": first_id + count,
    }


def _spreads(rate: int, runs: list[dict[str, Any]]) -> dict[str, Any]:
    ms = {each: machine.spread([run[each] for run in runs]) for each in ("p50", "p99", "max")}
    holds = ms["p50"]["median"] < P50_MS and ms["p99"]["median"] < P99_MS
    return {"changes_per_second": rate, "ms": ms, "holds": holds}


def _write(stack: Stack, first_id: int, count: int, rate: int) -> None:
    """In a process of its own: what follows the records is held up by nothing."""
    threads = [
        threading.Thread(target=_insert, args=(stack, first_id + number, count, rate))
        for number in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _insert(stack: Stack, first_id: int, count: int, rate: int) -> None:
    statement = (
        "INSERT INTO public.tickets (id, customer_id, subject, body, status)"
        " VALUES (%s, %s, 'Invoice', 'The amount is wrong.', 'open')"
    )
    with connect(stack, "support") as connection:
        started = time.monotonic()
        for number in range(0, count, WRITERS):
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            connection.execute(statement, [first_id + number, number % CUSTOMERS])


class Captured:
    """The topic's records, from now on."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "bench",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": FETCH_MS,
            }
        )
        partitions = self._consumer.list_topics(TOPIC, PATIENCE_S).topics[TOPIC].partitions
        ends = [
            TopicPartition(TOPIC, each, self._consumer.get_watermark_offsets(TopicPartition(TOPIC, each))[1])
            for each in partitions
        ]
        self._consumer.assign(ends)

    def of(self, count: int, deadline: float) -> list[float]:
        """Milliseconds from commit to record, of the next so many; ends the benchmark if any is missing."""
        found: list[float] = []
        while len(found) < count:
            if time.monotonic() > deadline:
                raise SystemExit(f"{count - len(found)} of {count} changes are missing")
            for message in self._consumer.consume(500, 0.005):
                if message.error() is not None:
                    raise KafkaException(message.error())
                source = json.loads(message.value() or b"{}")["source"]
                found.append(time.time() * 1_000 - source["ts_us"] / 1_000)
        return found

    def close(self) -> None:
        self._consumer.close()


def _table(rates: list[dict[str, Any]]) -> Table:
    table = Table(title="From commit to record, ms: median of the runs (least to most)", title_justify="left")
    for column in ("changes/s", "p50", "p99", "most", ""):
        table.add_column(column, justify="right")
    for rate in rates:
        cells = ["{median:.0f} ({min:.0f}-{max:.0f})".format(**rate["ms"][q]) for q in ("p50", "p99", "max")]
        table.add_row(str(rate["changes_per_second"]), *cells, "" if rate["holds"] else "no more")
    return table


if __name__ == "__main__":
    main()
