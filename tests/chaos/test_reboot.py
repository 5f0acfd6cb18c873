"""The machine is switched off under load: every process ends at once, the supervisor too. Then `up`."""

from __future__ import annotations

import psutil

from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import SIZES
from tests.pipeline.waiting import until

PATIENCE_S = 240


def test_after_every_process_ended_at_once_up_goes_on_and_the_count_holds(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    with pipeline.load.running(SIZES.transactions_per_second):
        pipeline.decide_an_event(PATIENCE_S)
        until("no process is left", lambda: not killed(stack.members()), PATIENCE_S)
        # A process that is ending shows no environment any more, and holds its ports for a moment longer.
        until("no port is held", lambda: not stack.open_ports(), PATIENCE_S)
        stack.up()
        pipeline.decide_an_event(PATIENCE_S)
    pipeline.verify()


def killed(processes: list[psutil.Process]) -> list[psutil.Process]:
    """The same processes, each sent SIGKILL."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return processes
