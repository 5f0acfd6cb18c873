"""`make bench-drill`: how soon a lost TaskManager, JobManager or worker is made good; the objective is 30 s.

Some 50 events a second go to one agent whose model, the scripted one, takes 200 ms; `headrace drill` kills
one process at a time, each kind as often as the others. At the end every change has exactly one outcome.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from typing import Any

from rich.console import Console

from headrace.operations.drill import Kill
from tests.bench import machine, report
from tests.pipeline.load import TICKETS, Change, Load
from tests.pipeline.model import ScriptedModel
from tests.pipeline.plugin import Pipeline, running
from tests.pipeline.stack import HEADRACE, ROOT

DECLARATION = machine.PROJECT / "tests" / "bench" / "Pulumi.bench-drill.yaml"
KILLS = (Kill.TASKMANAGER, Kill.JOBMANAGER, Kill.WORKER)
TRANSACTIONS_PER_SECOND = 55
"""Of which each waits for its commit: some 50 events a second."""
MODEL_MS = 200
CUSTOMERS = 2_000
WARM_UP_S = 120
DRILL_S = 300
TIMES = ("detection_s", "restore_s", "catch_up_s")


def main() -> None:
    options = _options()
    console = Console()
    for pipeline in running(DECLARATION, customers=CUSTOMERS):
        with ScriptedModel(pipeline.stack).behaving(latency_ms=MODEL_MS):
            drills = _drills(pipeline, options.runs, console)
            pipeline.verify(DRILL_S)
        events = _events(pipeline.load)
        figures = {
            "load": {
                "events_per_second": round(
                    len(events) / (events[-1].committed_at - events[0].committed_at), 1
                ),
                "events": len(events),
                "model_ms": MODEL_MS,
            },
            "objective_s": pipeline.stack.found.environment.recovery.max_recovery.seconds,
            "seconds": {kill: _over_runs(found) for kill, found in drills.items()},
        }
    path = machine.write("drill", figures)
    report.write()
    console.print_json(data=figures["seconds"])
    console.print(f"written to {os.path.relpath(path)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="drills of each kind")
    return parser.parse_args()


def _drills(pipeline: Pipeline, runs: int, console: Console) -> dict[str, list[dict[str, Any]]]:
    """Of each kind in turn, under load from the first to the last."""
    found: dict[str, list[dict[str, Any]]] = {kill: [] for kill in KILLS}
    with pipeline.load.running(TRANSACTIONS_PER_SECOND):
        pipeline.decide_an_event(WARM_UP_S)
        for number in range(1, runs + 1):
            for kill in KILLS:
                drilled = _drill(pipeline, kill)
                found[kill].append(drilled)
                times = ", ".join(f"{name} {drilled[name]}" for name in TIMES)
                console.print(f"{kill}, {number} of {runs}: {times}")
    return found


def _events(load: Load) -> list[Change]:
    """Changes that the agent reads: each had exactly one outcome."""
    return [change for change in load.committed if change.table == TICKETS]


def _drill(pipeline: Pipeline, kill: Kill) -> dict[str, Any]:
    """By the command, as a program calls it. One that misses the objective is a figure like the others."""
    options = ("--kill", kill, "--load", "0", "--yes", "--json", "--file", str(pipeline.stack.declaration))
    done = subprocess.run(
        [str(ROOT / HEADRACE), "drill", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if not done.stdout:
        raise SystemExit(f"headrace drill ended with {done.returncode}:\n{done.stderr}")
    (drilled,) = json.loads(done.stdout)["drills"]
    if drilled["missing"] or any(drilled[name] is None for name in TIMES):
        raise SystemExit(f"the stack did not come back: {drilled}\n{done.stderr}")
    return dict(drilled)


def _over_runs(drills: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **{name.removesuffix("_s"): machine.spread([each[name] for each in drills]) for name in TIMES},
        "met": sum(each["met"] for each in drills),
    }


if __name__ == "__main__":
    main()
