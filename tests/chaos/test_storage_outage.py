"""The object store is away: jobs go on while that is tolerated, and after longer come back by themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.local.supervision import Supervisor
from tests.chaos.victims import PATIENCE_S
from tests.pipeline.plugin import DECLARATION, Pipeline
from tests.pipeline.sizes import SIZES, in_make_chaos_alone
from tests.pipeline.stack import LiveStack, changed
from tests.pipeline.waiting import until

STORE = "object-store"
TOLERATED_S = 60

pytestmark = in_make_chaos_alone("storage that is away")


@contextmanager
def without_storage(stack: LiveStack) -> Iterator[None]:
    stack.stop_process(STORE)
    try:
        yield
    finally:
        Supervisor(stack.files).ensure_started(STORE)


def checkpoints(stack: LiveStack) -> dict[str, int]:
    return {agent: stack.checkpoints_completed(agent) for agent in stack.agents}


def test_a_minute_without_storage_restarts_nothing_and_checkpoints_resume(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    with pipeline.load.running(SIZES.transactions_per_second):
        pipeline.decide_an_event(PATIENCE_S)
        jobs, before = stack.job_ids(), stack.restarts()
        with without_storage(stack):
            time.sleep(TOLERATED_S)  # The outage itself, no wait for a condition.
            during = checkpoints(stack)
        for agent, completed in during.items():
            resumed = lambda agent=agent, completed=completed: stack.checkpoints_completed(agent) > completed  # noqa: E731
            until(f"a checkpoint of {agent}", resumed, PATIENCE_S)
        pipeline.decide_an_event(PATIENCE_S)
    pipeline.verify()
    assert stack.job_ids() == jobs
    assert stack.restarts() == before


def test_after_longer_than_tolerated_without_storage_the_job_waits_and_comes_back(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    impatient = {"recovery": {"max_outage": f"{TOLERATED_S}s"}}
    stack = changed(DECLARATION, tmp_path, impatient)
    stack.up()
    with pipeline.load.running(SIZES.transactions_per_second):
        pipeline.decide_an_event(PATIENCE_S)
        jobs = stack.job_ids()
        with without_storage(stack):
            until("a job that waits", lambda: not stack.jobs_running(), 4 * PATIENCE_S)
        until("every job runs", stack.jobs_running, PATIENCE_S)
        pipeline.decide_an_event(PATIENCE_S)
    pipeline.verify()
    assert stack.job_ids() == jobs
    assert sum(stack.restarts().values()) > 0
    pipeline.stack.up()
