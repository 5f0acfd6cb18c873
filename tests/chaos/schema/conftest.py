"""A stack of three sources, alike but for what becomes of changes that do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.plugin import Pipeline, running

DECLARATION = Path(__file__).with_name("Pulumi.schema.yaml")


@pytest.fixture(scope="package")
def pipeline() -> Iterator[Pipeline]:
    yield from running(DECLARATION, scales=False)
