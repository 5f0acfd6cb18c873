"""A stack with one agent that decides at once, and its logs where a test fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.plugin import Pipeline, pytest_runtest_makereport, running

__all__ = ["pytest_runtest_makereport"]

DECLARATION = Path(__file__).with_name("Pulumi.soak.yaml")


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    yield from running(DECLARATION)
