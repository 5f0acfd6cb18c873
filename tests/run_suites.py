"""Runs suites one after the other, times them, and keeps the whole within its budget.

``python3 tests/run_suites.py SUITE...``; `make test` names all of them, setup first, so this imports the
standard library alone. Exit status 0 when every suite passed within the budget, else 1.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
HEADRACE_PYTHON = ROOT / ".venv" / "bin" / "python"
AGENTS_PYTHON = ROOT / "agent_jobs" / ".venv" / "bin" / "python"

BUDGET_SECONDS = 75 * 60
"""Of the whole run, on 2 cores."""
LAST_START_SECONDS = 58 * 60
"""Into the run: so late a test of a real pipeline may still start, take its longest and be cleaned up."""
UNTIL = "HEADRACE_TESTS_UNTIL"
"""That moment, seconds since the epoch, as `tests/pipeline/budget.py` reads it."""
UNIT_OF_AGENTS = ("agents", "agents_docs", "scripted_model", "support_triage")
"""Folders of tests/unit that need the agents' environment; all others need headrace's."""
COMMANDS = ("setup", "setup-tests", "lint")
"""Parts that are verbs of the Makefile and collect no tests."""
FAILURE_LINES, FAILURE_COLUMNS = 12, 240
"""What of a failure is said again at the end: who reads a cut log sees the end alone."""
NO_TESTS_COLLECTED = 5
"""pytest's exit status."""


@dataclass(frozen=True)
class Counts:
    """What became of tests."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)


@dataclass(frozen=True)
class Part:
    """One process of a suite: pytest in one environment, or a command that passes or fails as a whole."""

    name: str
    command: tuple[str, ...]
    folders: tuple[Path, ...] = ()
    """What pytest collects from; none for another command."""


@dataclass(frozen=True)
class Result:
    part: str
    seconds: float
    status: int
    counts: Counts = field(default_factory=Counts)
    failures: tuple[str, ...] = ()
    """As `read_failures` words them."""


def parts_of(suite: str, tests: Path) -> list[Part]:
    """The processes of a suite; those whose folders are not there are left out."""
    if suite in COMMANDS:
        return [Part(suite, ("make", "--no-print-directory", suite))]
    if suite != "unit":
        return _pytest(suite, HEADRACE_PYTHON, [tests / suite])
    folders = sorted(
        {test.relative_to(tests / "unit").parts[0] for test in (tests / "unit").rglob("test_*.py")}
    )
    of_agents = [tests / "unit" / name for name in folders if name in UNIT_OF_AGENTS]
    others = [tests / "unit" / name for name in folders if name not in UNIT_OF_AGENTS]
    return [
        *_pytest("unit", HEADRACE_PYTHON, others),
        *_pytest("unit (agents)", AGENTS_PYTHON, of_agents),
    ]


def _pytest(name: str, python: Path, folders: Sequence[Path]) -> list[Part]:
    there = tuple(folder for folder in folders if folder.is_dir())
    return [Part(name, (str(python), "-m", "pytest"), there)] if there else []


def run(part: Part) -> Result:
    """Run one part to its end, its output as it comes."""
    started = time.monotonic()
    if not part.folders:
        status = subprocess.run(part.command, cwd=ROOT, check=False).returncode
        return Result(part.name, time.monotonic() - started, status)
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "junit.xml"
        command = (*part.command, f"--junit-xml={report}", *map(str, part.folders))
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        text = report.read_text() if report.exists() else "<testsuites/>"
    seconds = time.monotonic() - started
    return Result(part.name, seconds, status, read_counts(text), tuple(read_failures(text)))


def read_counts(report: str) -> Counts:
    """Add up the suites of a JUnit report; an error counts as failed."""
    total = Counts()
    for suite in ET.fromstring(report).iter("testsuite"):
        tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        total += Counts(tests - failed - skipped, failed, skipped)
    return total


def read_failures(report: str) -> Iterator[str]:
    """Each test of a JUnit report that failed or broke: its name, and what it said, cut to a few lines."""
    for case in ET.fromstring(report).iter("testcase"):
        for trouble in (*case.findall("failure"), *case.findall("error")):
            said = (trouble.get("message") or trouble.text or "").strip().splitlines()
            lines = [line[:FAILURE_COLUMNS] for line in said[:FAILURE_LINES]]
            yield "\n    ".join((f"{case.get('classname')}::{case.get('name')}", *lines))


def table(results: Sequence[Result]) -> str:
    """Times and counts, a line for each part, and the whole."""
    whole = sum(result.seconds for result in results)
    lines = [f"{'suite':<16}{'time':>9}{'passed':>9}{'failed':>9}{'skipped':>9}"]
    lines += [
        f"{result.part:<16}{result.seconds:>7.0f} s{result.counts.passed:>9}{result.counts.failed:>9}"
        f"{result.counts.skipped:>9}{verdict(result)}"
        for result in results
    ]
    lines.append(f"{'whole':<16}{whole:>7.0f} s   budget {BUDGET_SECONDS} s")
    return "\n".join(lines)


def verdict(result: Result) -> str:
    if result.status == NO_TESTS_COLLECTED:
        return "   no test was collected"
    return "" if result.status == 0 else f"   exit status {result.status}"


def closing_line(results: Sequence[Result]) -> str:
    """``N passed, N failed, N skipped``; a part that broke without a failed test counts as one failure."""
    total = sum((result.counts for result in results), Counts())
    broken = sum(1 for result in results if result.status and not result.counts.failed)
    return f"{total.passed} passed, {total.failed + broken} failed, {total.skipped} skipped"


def _run_all(suites: Sequence[str]) -> Iterator[Result]:
    for suite in suites:
        for part in parts_of(suite, ROOT / "tests"):
            print(f"\n== {part.name}", flush=True)
            yield run(part)


def main(suites: Sequence[str]) -> int:
    os.environ[UNTIL] = str(time.time() + LAST_START_SECONDS)
    results = list(_run_all(suites))
    within = sum(result.seconds for result in results) <= BUDGET_SECONDS
    print(f"\n{table(results)}")
    if not within:
        print("The whole took longer than its budget.")
    for result in results:
        for failure in result.failures:
            print(f"failed: {failure}")
    print(closing_line(results))
    return 0 if results and within and all(result.status == 0 for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
