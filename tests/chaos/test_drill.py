"""`headrace drill` on a running stack: what it breaks is made good within the objective, and counted."""

from __future__ import annotations

import signal

from headrace.local.supervision import Supervisor
from headrace.operations.victims import WORKER
from tests.chaos.victims import PATIENCE_S
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import SIZES, in_make_chaos_alone
from tests.pipeline.waiting import until

IDLE = "capture-watch"
"""A process that no event goes through."""
UNDER_LOAD = ("drill", "--load", "0", "--yes")
ENDS_WITHIN_S = 30

pytestmark = in_make_chaos_alone("drills")


def test_a_lost_taskmanager_is_made_good_within_the_objective_and_the_count_holds(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    with pipeline.load.running(SIZES.transactions_per_second):
        pipeline.decide_an_event(PATIENCE_S)
        before = stack.processes()
        said = stack.json(*UNDER_LOAD, "--kill", "taskmanager")
    (drilled,) = said["drills"]
    assert said["met"], said
    assert drilled["objective_s"] == stack.found.environment.recovery.max_recovery.seconds
    assert 0 <= drilled["detection_s"] <= drilled["restore_s"] <= drilled["catch_up_s"]
    assert drilled["usual_oldest_s"] < drilled["oldest_s"]
    assert drilled["jobs"]
    assert all(job["restored_from"] >= job["newest"] for job in drilled["jobs"]), drilled
    after = stack.processes()
    (killed,) = [name for name in before if before[name] != after[name]]
    assert killed.startswith("taskmanager-")
    pipeline.verify()


def test_a_stack_that_is_not_whole_is_refused_and_nothing_is_killed(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    before = stack.processes()
    stack.stop_process(IDLE)
    refused = stack.run(*UNDER_LOAD)
    others = stack.processes()
    Supervisor(stack.files).ensure_started(IDLE)
    until("every job and connector runs", stack.is_whole, PATIENCE_S)
    assert refused.code == 1
    assert f"process {IDLE} is STOPPED" in refused.output
    assert "Nothing was killed" in refused.output
    assert others == {name: pid for name, pid in before.items() if name != IDLE}


def test_an_interrupted_drill_leaves_a_stack_that_heals(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    with pipeline.load.running(SIZES.transactions_per_second):
        pipeline.decide_an_event(PATIENCE_S)
        before = {process.pid for process in WORKER.running(stack.found)}
        drill = stack.start(*UNDER_LOAD, "--kill", "worker")
        until(
            "a worker is killed",
            lambda: not before <= {process.pid for process in WORKER.running(stack.found)},
            PATIENCE_S,
        )
        drill.send_signal(signal.SIGINT)
        output, _ = drill.communicate(timeout=ENDS_WITHIN_S)
        pipeline.decide_an_event(PATIENCE_S)
        until("every job and connector runs", stack.is_whole, PATIENCE_S)
    assert drill.returncode == 130, output
    assert "comes back by itself" in output
    pipeline.verify()
