"""What a figure was measured on, and where figures are kept."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).resolve().parent / "results"
GIB = 1024**3


def describe() -> dict[str, Any]:
    """Machine, versions and commit."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _output("git", "rev-parse", "--short", "HEAD"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "java": _output("java", "-version").splitlines()[0],
        "pulumi": version("pulumi"),
    }


def write(name: str, figures: dict[str, Any]) -> Path:
    """Keep `figures` with the machine's description as the newest of their name."""
    described = describe()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{described['at'].replace(':', '').replace('+0000', 'Z')}.json"
    path.write_text(json.dumps({"benchmark": name, "machine": described, **figures}, indent=2) + "\n")
    return path


def newest(name: str) -> dict[str, Any] | None:
    # A year follows: `agents` is no beginning of `agents-latency`.
    found = sorted(RESULTS.glob(f"{name}-[0-9][0-9][0-9][0-9]-*.json"))
    return dict(json.loads(found[-1].read_text())) if found else None


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median of the runs, and how far they lie apart."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "runs": len(values)}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT)
    return (done.stdout or done.stderr).strip()
