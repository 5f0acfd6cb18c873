"""A stack whose agent has little to spend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.plugin import Pipeline, running

DECLARATION = Path(__file__).with_name("Pulumi.budget.yaml")


@pytest.fixture(scope="package")
def pipeline() -> Iterator[Pipeline]:
    """Its parallelism stays as it is."""
    yield from running(DECLARATION, customers=50, scales=False)
