"""One server for all tests of this folder, and for each test a source of its own on it.

``HEADRACE_TEST_POSTGRES`` names the folder of another PostgreSQL than the one that headrace runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from headrace.toolchain.runtimes import Runtimes
from tests.engine.capture.server import Server
from tests.engine.capture.source import Source

numbers = count(1)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    given = os.environ.get("HEADRACE_TEST_POSTGRES")
    binaries = Path(given) if given else Runtimes.locate().postgres
    made = Server(binaries, tmp_path_factory.mktemp("postgres") / "data")
    made.initialize()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """With the settings that it had, for the next test."""
    yield running
    with running.connect() as connection:
        connection.execute("ALTER SYSTEM RESET ALL")
        connection.execute("SELECT pg_reload_conf()")
        pending = connection.execute("SELECT count(*) FROM pg_settings WHERE pending_restart").fetchone()
    assert pending is not None
    if pending[0]:
        running.restart()


@pytest.fixture
def source(server: Server) -> Iterator[Source]:
    made = Source(server, f"shop{next(numbers)}")
    yield made
    made.remove()
