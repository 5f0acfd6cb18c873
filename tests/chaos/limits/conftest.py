"""A stack whose model's provider limits it; what was counted is printed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.plugin import Pipeline, running

DECLARATION = Path(__file__).with_name("Pulumi.limits.yaml")
FIGURES = pytest.StashKey[dict[str, object]]()


@pytest.fixture(scope="package")
def pipeline() -> Iterator[Pipeline]:
    """These tests rescale by themselves."""
    yield from running(DECLARATION, scales=False)


@pytest.fixture(scope="package")
def figures(pytestconfig: pytest.Config) -> dict[str, object]:
    """What these tests count."""
    return pytestconfig.stash.setdefault(FIGURES, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if found := config.stash.get(FIGURES, {}):
        terminalreporter.section("calls within limits")
        for name, figure in found.items():
            terminalreporter.line(f"{name}: {figure}")
