"""A stack whose agents have little to spend or a limited provider; what was counted is printed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.plugin import Pipeline, running

DECLARATION = Path(__file__).with_name("Pulumi.provider.yaml")
FIGURES = pytest.StashKey[dict[str, object]]()


@pytest.fixture(scope="package")
def pipeline() -> Iterator[Pipeline]:
    """Parallelism is what a test sets."""
    yield from running(DECLARATION, customers=50, scales=False)


@pytest.fixture(scope="package")
def figures(pytestconfig: pytest.Config) -> dict[str, object]:
    """What these tests count."""
    return pytestconfig.stash.setdefault(FIGURES, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if found := config.stash.get(FIGURES, {}):
        terminalreporter.section("calls within limits")
        for name, figure in found.items():
            terminalreporter.line(f"{name}: {figure}")
