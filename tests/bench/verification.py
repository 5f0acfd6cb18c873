"""`make bench-verification`: how long the verification of a savepoint takes on one core, and how much memory.

A job in a Flink of its own fills the agent operator's state with memories of 1 KiB and stops with a native
savepoint, which `headrace-agents verify` then reads with the next version of the agent: every memory is
migrated. The program and all that it starts are bound to one core. Other work on that core makes it slower:
the seconds of processor time beside tell how much of the time was its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from headrace.local.files import StackFiles
from headrace.toolchain.runtimes import Runtimes
from tests.bench import machine, report
from tests.verification.agents import FIRST, NEXT
from tests.verification.savepoints import inputs_of, spec_of, written

FEW, MANY = 10_000, 100_000
SIZE = 1024
SHARDS: dict[str, Any] = {"shards": 128, "max_parallelism": 720}
CORE = "0"
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.verification", description=__doc__)
    parser.add_argument("--more", type=int, nargs="*", default=[], help="memories, beside the usual numbers")
    options = parser.parse_args()
    console = Console()
    found: dict[str, dict[str, float]] = {}
    for memories in (FEW, MANY, *options.more):
        with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
            found[str(memories)] = _measure(Path(folder), memories)
    figures = {"size_bytes": SIZE, "memories": found}
    path = machine.write("verification", figures)
    report.write()
    console.print(_table(figures), f"written to {os.path.relpath(path)}")


def _measure(root: Path, memories: int) -> dict[str, float]:
    savepoint = written(spec_of(FIRST, **SHARDS), root, memories, SIZE)
    spec = spec_of(NEXT, **SHARDS)
    inputs, file, told = inputs_of(spec, root), root / "job.json", root / "report.json"
    file.write_text(spec.model_dump_json())
    environment = {
        **os.environ,
        **inputs.environment,
        "FLINK_CONF_DIR": str(StackFiles(root).etc("writing")),
        "TMPDIR": str(root),
    }
    command = [str(Runtimes.locate().agents_python), "-m", "headrace_agents", "verify"]
    command += ["--spec", str(file), "--savepoint", savepoint, "--report", str(told)]
    before, started = _processor_seconds(), time.monotonic()
    with (root / "verified.log").open("w") as log:
        program = subprocess.Popen(
            ["taskset", "-c", CORE, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        memory = _Memory(psutil.Process(program.pid))
        status = program.wait()
    seconds = time.monotonic() - started
    memory.end()
    assert status == 0, (root / "verified.log").read_text()[-4000:]
    read = json.loads(told.read_text())
    assert read["entries"] == {"memory": memories}
    assert read["migrated"] == memories
    return {
        "seconds": round(seconds, 1),
        "processor_seconds": round(_processor_seconds() - before, 1),
        "peak_mib": round(memory.peak / MIB),
    }


def _processor_seconds() -> float:
    """Of children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Memory:
    """The most that a process and all below it have had resident at once."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._ended = threading.Event()
        self.peak = 0
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.25):
            try:
                family = [self._process, *self._process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self.peak = max(self.peak, sum(_resident(each) for each in family))


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return 0


def _table(figures: dict[str, Any]) -> Table:
    table = Table(title=f"Verification of memories of {SIZE} bytes on one core", title_justify="left")
    for column in ("memories", "s", "s of processor time", "MiB at most"):
        table.add_column(column, justify="right")
    for memories, cells in figures["memories"].items():
        table.add_row(memories, *(f"{cells[c]:g}" for c in ("seconds", "processor_seconds", "peak_mib")))
    return table


if __name__ == "__main__":
    main()
