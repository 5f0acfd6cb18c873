"""`make bench-preview`: how long a preview of the shipped production takes from cold, by phase, and of what.

The real engine and the shipped program; providers are the stand-ins, so what AWS and Kubernetes would take to
answer is not in it. Nothing is there before: no state, no foundation, no plugin that runs.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.bench import machine, report
from tests.engine.aws.project import Shipped
from tests.standins.place import Place
from tests.standins.servers import moto, reset

POLICIES = machine.PROJECT / "policies"
JUDGED = "prod, judged"
STACKS = {
    "prod": ("prod", ()),
    JUDGED: (
        "prod",
        (
            *("--policy-pack", str(POLICIES / "headrace-policies")),
            *("--policy-pack-config", str(POLICIES / "environments" / "prod.json")),
        ),
    ),
    "prod-foundation": ("prod-foundation", ()),
    "dev": ("dev", ()),
}
"""What is told of, and the stack and the options that it is the preview of."""
RUNS = 3
EVENTS = "resourcePreEvent"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        moto(Path(folder) / "moto") as address,
    ):
        figures = {told: _stack(Path(folder), address, told, options.runs) for told in STACKS}
    for stack, found in figures.items():
        console.print(stack, found)
    path = machine.write("preview", {"stacks": figures})
    report.write()
    console.print(f"written to {os.path.relpath(path)}")


def _stack(folder: Path, address: str, told: str, runs: int) -> dict[str, Any]:
    previews = [_preview(folder / f"{told}-{run}", address, *STACKS[told]) for run in range(runs)]
    phases = {phase: machine.spread([run["seconds"][phase] for run in previews]) for phase in PHASES}
    return {"seconds": phases, "resources": previews[0]["resources"], "of_types": previews[0]["of_types"]}


PHASES = ("engine", "program", "resources", "end", "whole")
"""The engine's and its plugins' start; the program until its first resource; all resources; the rest."""


def _preview(folder: Path, address: str, stack: str, options: tuple[str, ...]) -> dict[str, Any]:
    reset(address)
    project = Shipped(folder, Place(folder / "place", aws_endpoint=address), stack)
    log = folder / "events.json"
    started = time.time()
    project.pulumi(
        "preview", *options, "--event-log", str(log), environment={"PULUMI_DEBUG_COMMANDS": "true"}
    )
    ended = time.time()
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return {
        "seconds": _phases(events, started, ended),
        "resources": len(_resources(events)),
        "of_types": len(Counter(each["metadata"]["type"] for each in _resources(events))),
    }


def _resources(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [each[EVENTS] for each in events if EVENTS in each]
    return [each for each in found if each["metadata"]["type"] != "pulumi:pulumi:Stack"]


def _phases(events: list[dict[str, Any]], started: float, ended: float) -> dict[str, float]:
    """Seconds of each; the log has whole seconds."""
    of_stack, *others = [each["timestamp"] for each in events if EVENTS in each]
    marks = [started, of_stack, min(others), max(others), ended]
    between = [max(0.0, round(to - since, 1)) for since, to in pairwise(marks)]
    return dict(zip(PHASES, [*between, round(ended - started, 1)], strict=True))


if __name__ == "__main__":
    main()
