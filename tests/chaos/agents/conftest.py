"""A stack for these tests alone; what it was paid twice for is kept for the report."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import machine, report
from tests.chaos.conftest import RECORD
from tests.pipeline.plugin import Pipeline, running
from tests.pipeline.sizes import SIZES

DECLARATION = Path(__file__).with_name("Pulumi.agents.yaml")


@pytest.fixture(scope="package")
def pipeline() -> Iterator[Pipeline]:
    """In place of the stack that other tests of chaos share."""
    yield from running(DECLARATION, customers=SIZES.agent_keys)


@pytest.fixture(scope="package")
def figures() -> Iterator[dict[str, object]]:
    """What is to be written down of these tests."""
    found: dict[str, object] = {}
    yield found
    if os.environ.get(RECORD):
        machine.write("agents", found)
        report.write()
