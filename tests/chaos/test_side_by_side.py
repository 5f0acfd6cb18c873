"""Two stacks with different port bases run side by side and know nothing of each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.plugin import DECLARATION, Pipeline, running
from tests.pipeline.sizes import in_make_chaos_alone
from tests.pipeline.stack import renamed

PORT_BASE = 27200


@pytest.fixture
def neighbour(tmp_path: Path) -> Iterator[Pipeline]:
    yield from running(renamed(DECLARATION, tmp_path, "neighbour", PORT_BASE).declaration)


@in_make_chaos_alone("two stacks side by side")
def test_two_stacks_run_side_by_side(pipeline: Pipeline, neighbour: Pipeline) -> None:
    jobs = pipeline.stack.job_ids()
    for each in (pipeline, neighbour):
        each.load.insert(200)
    for each in (pipeline, neighbour):
        each.verify()
    assert pipeline.stack.job_ids() == jobs
    assert not set(pipeline.stack.ports().values()) & set(neighbour.stack.ports().values())
