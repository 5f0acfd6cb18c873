"""A stack of which only capturing runs: database, Connect and Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.local.supervision import Supervisor
from tests.pipeline.plugin import Pipeline, running

DECLARATION = Path(__file__).with_name("Pulumi.capture.yaml")
NEEDED = ("postgres", "kafka", "connect", "capture-watch")


@pytest.fixture(scope="package")
def pipeline() -> Iterator[Pipeline]:
    """Up, then without what only agents need: two cores are few."""
    for made in running(DECLARATION):
        supervisor = Supervisor(made.stack.files)
        for program in supervisor.pids().keys() - set(NEEDED):
            supervisor.stop(program)
        yield made
