"""Another parallelism for a running job, through the adaptive scheduler, and what that cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from headrace.local.flink_rest import FlinkRest, Unreachable
from headrace.waiting import WaitEnded, wait_until

RESCALED_TIMEOUT_S = 120


@dataclass(frozen=True)
class Cost:
    gap_s: float | None
    """From the last look at all of the old tasks until the first at all of the new ones; None: they do not
    run yet, and Flink goes on trying."""
    repeated_calls: int
    """Under way when the tasks ended, by the last look before."""


def rescale(flink: FlinkRest, job_id: str, parallelism: int, calls_in_flight: Callable[[], int]) -> Cost:
    """Returns when every vertex runs with the parallelism, or has not come to in a long time.

    Raises:
        HeadraceError: Flink refuses, or the job has ended.
    """
    calls, whole_at = calls_in_flight(), time.monotonic()
    flink.want_parallelism(job_id, parallelism)

    def is_rescaled() -> bool:
        nonlocal calls, whole_at
        try:
            running = flink.running_parallelism(job_id)
        except Unreachable:
            return False
        if running and running != parallelism:
            # Still the old tasks: what they have under way when they end is what is made again.
            calls, whole_at = calls_in_flight(), time.monotonic()
        return running == parallelism

    try:
        wait_until(f"parallelism {parallelism}", is_rescaled, RESCALED_TIMEOUT_S)
    except WaitEnded:
        return Cost(None, calls)
    return Cost(round(time.monotonic() - whole_at, 1), calls)
