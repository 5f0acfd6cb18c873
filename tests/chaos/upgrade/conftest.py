"""A stack for each module, whose agent is taken from version to version: its state knows only forward."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.plugin import Pipeline, running

DECLARATION = Path(__file__).with_name("Pulumi.upgrade.yaml")


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    yield from running(DECLARATION, scales=False)
