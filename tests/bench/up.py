"""`make bench-up`: from a fresh clone to the first decision, and the second `make up`.

Each case has a home folder of its own, so that every cache is cold. In the case `with-cli` a Pulumi CLI
is on PATH, as on the machine of somebody who uses Pulumi; in `without-cli` the clone gets its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from headrace.toolchain.runtimes import Runtimes
from tests.bench import machine, report

DECISION = "TriageDecision"
UNCHANGED = " unchanged"
PORT_BASE = 38000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("with-cli", "without-cli"))
    options = parser.parse_args()
    cases = [options.only] if options.only else ["with-cli", "without-cli"]
    console = Console()
    figures: dict[str, Any] = {}
    for case in cases:
        figures[case] = _case(case, console)
        console.print(case, figures[case])
        # After each case: the second takes minutes, and the first is worth keeping.
        path = machine.write("up", {"seconds": figures})
        report.write()
        console.print(f"written to {os.path.relpath(path)}")


def _case(case: str, console: Console) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        home, clone = Path(folder) / "home", Path(folder) / "clone"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(machine.PROJECT), str(clone)], check=True)
        declaration = clone / "stacks" / "Pulumi.local.yaml"
        declaration.write_text(declaration.read_text().replace("port_base: 17000", f"port_base: {PORT_BASE}"))
        environment = _environment(case, home)
        try:
            first = _make_up(clone, environment, console)
            second = _make_up(clone, environment, console)
        finally:
            subprocess.run(
                ["make", "clean", "FORCE=1"], cwd=clone, env=environment, capture_output=True, check=False
            )
            # Go's module cache is read-only, which the temporary folder's removal can't cope with.
            subprocess.run(["chmod", "-R", "u+w", str(home)], check=False)
    return {
        "to_first_decision": first["to_first_decision"],
        "first_up": first["seconds"],
        "second_up": second["seconds"],
        "second_up_changed_nothing": second["changed_nothing"],
    }


def _environment(case: str, home: Path) -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PULUMI", "HEADRACE", "XDG", "UV_", "GO"))
    }
    cli = str(Runtimes.locate().pulumi_bin)
    path = [p for p in kept["PATH"].split(os.pathsep) if not (Path(p) / "pulumi").exists()]
    if case == "with-cli":
        path.insert(0, cli)
    elif shutil.which("go") is None:
        raise SystemExit("without a Pulumi CLI it is built, and that needs Go")
    java_home = {"JAVA_TOOL_OPTIONS": f"-Duser.home={home}"}  # where Maven keeps what it fetched
    return kept | {"HOME": str(home), "PATH": os.pathsep.join(path)} | java_home


def _make_up(clone: Path, environment: dict[str, str], console: Console) -> dict[str, Any]:
    started = time.monotonic()
    decision, unchanged_only = None, False
    with subprocess.Popen(
        ["make", "up"],
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if decision is None and DECISION in line:
                decision = time.monotonic() - started
            unchanged_only |= line.strip().endswith(UNCHANGED) and line.strip().split()[0].isdigit()
    if process.returncode:
        console.print("".join(lines[-60:]))
        raise SystemExit(f"make up ended with {process.returncode}")
    return {
        "seconds": round(time.monotonic() - started, 1),
        "to_first_decision": round(decision, 1) if decision else None,
        "changed_nothing": unchanged_only,
    }


if __name__ == "__main__":
    main()
