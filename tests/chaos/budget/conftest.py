"""A stack whose agent has little to spend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.local.scaler import NAME as SCALING
from headrace.local.supervision import Supervisor
from tests.pipeline.plugin import Pipeline, running

DECLARATION = Path(__file__).with_name("Pulumi.budget.yaml")


@pytest.fixture(scope="package")
def pipeline() -> Iterator[Pipeline]:
    """Its parallelism stays as it is."""
    for made in running(DECLARATION, customers=50):
        Supervisor(made.stack.files).stop(SCALING)
        yield made
