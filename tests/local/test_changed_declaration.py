"""`up` does what the declaration's change asks for and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.plugin import Pipeline
from tests.pipeline.stack import changed, resource_counts

CHANGED, OTHER = "support-triage-vip", "support-triage"


def test_up_of_what_is_up_changes_nothing(pipeline: Pipeline) -> None:
    jobs, processes = pipeline.stack.job_ids(), pipeline.stack.processes()
    assert resource_counts(pipeline.stack.up()).keys() == {"unchanged"}
    assert pipeline.stack.job_ids() == jobs
    assert pipeline.stack.processes() == processes


@pytest.mark.parametrize(
    "change",
    [{"settings": {"escalate_every": 2}}, {"model": {"timeout": "5s"}}],
    ids=["its own setting", "its model's timeout"],
)
def test_a_change_of_one_agent_touches_its_job_alone_and_keeps_its_state(
    pipeline: Pipeline, tmp_path: Path, change: dict[str, object]
) -> None:
    stack = pipeline.stack
    pipeline.load.insert(100)
    pipeline.settle()
    jobs, processes = stack.job_ids(), stack.processes()
    with pipeline.load.running(transactions_per_second=10):
        counts = resource_counts(changed(stack.declaration, tmp_path, change, CHANGED).up())
    pipeline.load.insert(100)

    assert counts.keys() == {"unchanged", "updated"}
    assert counts["updated"] == 1
    after = stack.job_ids()
    assert after[CHANGED] != jobs[CHANGED]
    assert after[OTHER] == jobs[OTHER]
    assert stack.processes() == processes
    # The ledger compares what each customer's memory counts with a replay from the first event on.
    pipeline.verify()


def test_the_way_back_is_a_change_too(pipeline: Pipeline) -> None:
    jobs = pipeline.stack.job_ids()
    assert resource_counts(pipeline.stack.up())["updated"] == 1
    assert pipeline.stack.job_ids()[OTHER] == jobs[OTHER]
    pipeline.verify()
