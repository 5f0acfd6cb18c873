"""A stack for these tests alone; what they measured is printed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.plugin import Pipeline, running

DECLARATION = Path(__file__).with_name("Pulumi.scaling.yaml")
FIGURES = pytest.StashKey[dict[str, object]]()


@pytest.fixture(scope="package")
def pipeline() -> Iterator[Pipeline]:
    """In place of the stack that other tests of chaos share."""
    yield from running(DECLARATION)


@pytest.fixture(scope="package")
def figures(pytestconfig: pytest.Config) -> dict[str, object]:
    """What these tests measure."""
    return pytestconfig.stash.setdefault(FIGURES, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if found := config.stash.get(FIGURES, {}):
        terminalreporter.section("scaling within bounds")
        for name, figure in found.items():
            terminalreporter.line(f"{name}: {figure}")
