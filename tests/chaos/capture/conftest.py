"""A stack of which only capturing runs: database, Connect and Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.plugin import Pipeline, capturing_alone, running

DECLARATION = Path(__file__).with_name("Pulumi.capture.yaml")


@pytest.fixture(scope="package")
def pipeline() -> Iterator[Pipeline]:
    for made in running(DECLARATION):
        capturing_alone(made.stack)
        yield made
