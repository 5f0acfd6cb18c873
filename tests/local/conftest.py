"""The shared stack, who its traces are sent to, and its logs where a test fails."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from headrace.environment import load_environment
from tests.pipeline.budget import pytest_runtest_setup
from tests.pipeline.plugin import DECLARATION, pipeline, pytest_runtest_makereport
from tests.standins.otlp import Receiver, receiving

__all__ = ["pipeline", "pytest_runtest_makereport", "pytest_runtest_setup"]


@pytest.fixture(scope="session", autouse=True)
def receiver() -> Iterator[Receiver]:
    """There before the stack is: whoever finds none asks again ever more rarely."""
    tracing = load_environment(DECLARATION).tracing
    assert tracing is not None
    port = urlsplit(tracing.endpoint or "").port
    assert port is not None
    with receiving(port) as found:
        yield found
