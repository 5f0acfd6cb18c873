"""A project for a test, and nothing of it left afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.local.processes import SESSION_MARKER, STACK_MARKER, end, marked
from tests.engine.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    end(marked(SESSION_MARKER, made.files.root))
    made.supervisor.shut_down()
    assert not marked(STACK_MARKER, made.files.root)
