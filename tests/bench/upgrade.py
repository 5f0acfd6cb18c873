"""`make bench-upgrade`: how long nobody decides while an agent gets other code, under load.

Some 50 events a second go to one agent whose model, the scripted one, takes 200 ms. `headrace up` brings it
to other code and back. The gap is what the upgrade's record says: between the last decision of the earlier
version and the first of the new one, and where the time went. At the end every change has one outcome.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench import machine, report
from tests.chaos.upgrade.versions import bring_to, latest
from tests.pipeline.model import ScriptedModel
from tests.pipeline.plugin import Pipeline, running

DECLARATION = machine.PROJECT / "tests" / "bench" / "Pulumi.bench-upgrade.yaml"
VERSIONS = ("Reworded", "Chronicle")
TRANSACTIONS_PER_SECOND = 55
"""Of which each waits for its commit: some 50 events a second."""
MODEL_MS = 200
CUSTOMERS = 2_000
WARM_UP_S = 120
SETTLE_S = 300


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.upgrade", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="upgrades")
    options = parser.parse_args()
    console = Console()
    for pipeline in running(DECLARATION, customers=CUSTOMERS, scales=False):
        with ScriptedModel(pipeline.stack).behaving(latency_ms=MODEL_MS):
            gaps = _gaps(pipeline, options.runs, console)
            pipeline.verify(SETTLE_S)
        events = pipeline.load.committed
        figures = {
            "events_per_second": round(len(events) / (events[-1].committed_at - events[0].committed_at), 1),
            "model_ms": MODEL_MS,
            "seconds": {part: machine.spread([gap[part] for gap in gaps]) for part in report.PARTS_OF_A_GAP},
        }
    path = machine.write("upgrade", figures)
    report.write()
    console.print(_table(figures), f"written to {os.path.relpath(path)}")


def _gaps(pipeline: Pipeline, runs: int, console: Console) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, pipeline.load.running(TRANSACTIONS_PER_SECOND):
        pipeline.decide_an_event(WARM_UP_S)
        for number in range(runs):
            name = VERSIONS[number % len(VERSIONS)]
            done = bring_to(pipeline.stack, Path(folder), name)
            upgrade = latest(pipeline.stack)
            if done.code or upgrade.gap is None or upgrade.gap.decisions_s is None:
                raise SystemExit(f"the upgrade to {name} ended otherwise than it should:\n{done.output}")
            found.append(upgrade.gap.model_dump())
            console.print(f"{number + 1} of {runs}, to {name}:", upgrade.gap)
    return found


def _table(figures: dict[str, Any]) -> Table:
    table = Table(title="Without decisions, s: median of the upgrades (least to most)", title_justify="left")
    table.add_column("part")
    table.add_column("s", justify="right")
    for part, name in report.PARTS_OF_A_GAP.items():
        cell = figures["seconds"][part]
        table.add_row(name.strip("*"), f"{cell['median']:.1f} ({cell['min']:.1f}-{cell['max']:.1f})")
    return table


if __name__ == "__main__":
    main()
