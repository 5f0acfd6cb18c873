"""A stack for these tests alone; what was counted is printed at the end, and kept for the report."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace_agents.records import Reason
from tests.bench import machine, report
from tests.chaos.conftest import RECORD
from tests.pipeline.plugin import Pipeline, running
from tests.pipeline.sizes import SIZES

DECLARATION = Path(__file__).with_name("Pulumi.agents.yaml")
MAY_FAIL: tuple[Reason, ...] = ("deadline", "loop_limit", "model_error")
"""What the faults of the model make of changes; these stay in the ledger of the tests that come after."""
FIGURES = pytest.StashKey[dict[str, object]]()


@pytest.fixture(scope="package")
def pipeline() -> Iterator[Pipeline]:
    """In place of the stack that other tests of chaos share; these rescale by themselves."""
    yield from running(DECLARATION, customers=SIZES.agent_keys, scales=False)


@pytest.fixture(scope="package")
def figures(pytestconfig: pytest.Config) -> Iterator[dict[str, object]]:
    """What these tests count."""
    found = pytestconfig.stash.setdefault(FIGURES, {})
    yield found
    if os.environ.get(RECORD) and found:
        machine.write("agents", found)
        report.write()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if found := config.stash.get(FIGURES, {}):
        terminalreporter.section("agents while everything breaks")
        for name, figure in found.items():
            terminalreporter.line(f"{name}: {figure}")
