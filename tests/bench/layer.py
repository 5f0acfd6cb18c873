"""`make bench-layer`: what the layer over a model's client takes of the processor, beside the bare client.

The scripted model answers at once, in a process of its own. The openai package, the client that the layer is
over, and the layer with all that can be declared take turns, each time in a new process; what is compared is
processor time, so that other work on the machine says little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from headrace.local.processes import end
from headrace.toolchain.runtimes import Runtimes
from tests.bench import machine, report

CALLS, RUNS = 3_000, 5
PROGRAMS = ("package", "client", "layer")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.layer", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each")
    parser.add_argument("--calls", type=int, default=CALLS, help="of a run")
    options = parser.parse_args()
    console, python = Console(), Runtimes.locate().agents_python
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        model, endpoint = _model(python, Path(folder))
        try:
            found: dict[str, list[dict[str, float]]] = {program: [] for program in PROGRAMS}
            for _ in range(options.runs):
                for program in PROGRAMS:
                    found[program].append(_run(python, program, endpoint, options.calls))
                    console.print(program, found[program][-1])
        finally:
            end([psutil.Process(model.pid)])
            model.wait()
    figures = {program: _spreads(runs) for program, runs in found.items()}
    path = machine.write("layer", {"calls": options.calls, "programs": figures})
    report.write()
    console.print(figures, f"written to {os.path.relpath(path)}")


def _model(python: Path, folder: Path) -> tuple[subprocess.Popen[str], str]:
    command = [str(python), "-m", "headrace_agents.scripted_model", "--port", "0"]
    command += ["--log", str(folder / "calls.jsonl")]
    model = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert model.stdout is not None
    (address,) = (word for word in model.stdout.readline().split() if word.startswith("http://"))
    return model, address.rstrip(",")


def _run(python: Path, program: str, endpoint: str, calls: int) -> dict[str, float]:
    module = "tests.bench.agents.programs.layer"
    done = subprocess.run(
        [str(python), "-m", module, program, endpoint, str(calls)],
        cwd=machine.PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _spreads(runs: list[dict[str, float]]) -> dict[str, Any]:
    return {name: machine.spread([run[name] for run in runs]) for name in runs[0]}


if __name__ == "__main__":
    main()
