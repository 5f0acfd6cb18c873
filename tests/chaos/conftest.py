"""The shared stack, its logs where a test fails, and how long healing took."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.bench import machine, report
from tests.pipeline.budget import pytest_runtest_setup
from tests.pipeline.plugin import pipeline, pytest_runtest_makereport

__all__ = ["pipeline", "pytest_runtest_makereport", "pytest_runtest_setup"]

RECORD = "HEADRACE_RECORD"
"""Set, the figures are kept as the newest."""
HEALING = pytest.StashKey[dict[str, list[float]]]()


@pytest.fixture(scope="session")
def healing(pytestconfig: pytest.Config) -> Iterator[dict[str, list[float]]]:
    """Seconds to heal, by what was killed; printed at the end."""
    measured = pytestconfig.stash.setdefault(HEALING, {})
    yield measured
    if os.environ.get(RECORD):
        machine.write("healing", {"seconds": measured})
        report.write()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if measured := config.stash.get(HEALING, {}):
        terminalreporter.section("seconds from kill -9 to healed")
        for name, seconds in measured.items():
            terminalreporter.line(f"{name:<16}{', '.join(map(str, seconds))}")
