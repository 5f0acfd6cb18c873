"""A stack that captures a table of many rows, and beside it a writer of live changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.plugin import Pipeline, running

DECLARATION = Path(__file__).with_name("Pulumi.backfill.yaml")


@pytest.fixture(scope="package")
def pipeline() -> Iterator[Pipeline]:
    yield from running(DECLARATION)
