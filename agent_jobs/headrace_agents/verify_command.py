"""``headrace-agents verify``: whether this version of an agent can go on from a savepoint.

Restores the savepoint in a Flink of its own, within one process that ends with the verification: the job that
the savepoint is of, its topics and its models are not touched. Where files of the savepoint are and with what
they are read, is said by Flink's configuration (``FLINK_CONF_DIR``), as for Flink's own client; it stands in
no argument.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from headrace_agents.verification import Report

PROVEN, FAILURES, NOT_RUN = 0, 1, 2
"""Exit status."""
NOT_VERIFIED = "The savepoint could not be verified: "
"""What the last words of the output begin with then."""
_JAVA_OPTIONS = "-Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""It runs for seconds: what a better compiler and several collecting threads save, they cost before."""
_PROGRAM = Path(__file__).with_name("flink") / "verify.py"


def verify(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """restore a savepoint beside the job, and read all of it with this version's code"""
    parser.add_argument("--spec", type=Path, required=True, help="file with an AgentJobSpec as JSON")
    parser.add_argument("--savepoint", required=True, help="path of the savepoint's folder, as Flink has it")
    parser.add_argument("--report", type=Path, help="file for the report; else it goes to standard output")
    return _run


def _run(options: argparse.Namespace) -> int:
    home = os.environ.get("FLINK_HOME")
    if home is None:
        print("FLINK_HOME is not set: it names the folder of a Flink distribution", file=sys.stderr)
        return NOT_RUN
    with tempfile.TemporaryDirectory(prefix="headrace-verify-") as folder:
        report = _verified(Path(home), options.spec.resolve(), options.savepoint, Path(folder))
    if report is None:
        return NOT_RUN
    text = report.model_dump_json(indent=2) + "\n"
    if options.report is None:
        sys.stdout.write(text)
    else:
        options.report.write_text(text)
    return PROVEN if report.is_proven else FAILURES


def _verified(home: Path, spec: Path, savepoint: str, scratch: Path) -> Report | None:
    """None where it came to no report; what happened is in the output then."""
    started = time.monotonic()
    report, failure = scratch / "report.json", scratch / "failure.txt"
    command = [
        *(str(home / "bin" / "flink"), "run", "--target", "local"),
        *("--pyExecutable", sys.executable, "--pyClientExecutable", sys.executable),
        *("--python", str(_PROGRAM)),
        *("--spec", str(spec), "--savepoint", savepoint),
        *("--report", str(report), "--failure", str(failure)),
    ]
    # The restored files are unpacked there.
    places = {"TMPDIR": str(scratch), "JVM_ARGS": f"{_JAVA_OPTIONS} -Djava.io.tmpdir={scratch}"}
    environment = {**os.environ, **places}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode or not report.is_file():
        why = failure.read_text() if failure.is_file() else "why, is above"
        print(f"{NOT_VERIFIED}{why}", file=sys.stderr)
        return None
    found = Report.model_validate_json(report.read_bytes())
    return found.model_copy(update={"seconds": round(time.monotonic() - started, 1)})
