"""A stack with one agent that decides at once, its logs where a test fails, and what was measured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import machine, report
from tests.chaos.conftest import RECORD
from tests.pipeline.plugin import Pipeline, pytest_runtest_makereport, running

__all__ = ["pytest_runtest_makereport"]

DECLARATION = Path(__file__).with_name("Pulumi.soak.yaml")
FIGURES = pytest.StashKey[dict[str, object]]()


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    yield from running(DECLARATION)


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Iterator[dict[str, object]]:
    """What the soak measures; printed at the end, and kept for the report."""
    found = pytestconfig.stash.setdefault(FIGURES, {})
    yield found
    if found and os.environ.get(RECORD):
        machine.write("soak", found)
        report.write()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash.get(FIGURES, {})
    if found:
        terminalreporter.section("memory")
    for name, figure in found.items():
        if name != "samples":
            terminalreporter.line(f"{name}: {figure}")
