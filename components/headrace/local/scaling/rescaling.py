"""Another parallelism for a running job, through the adaptive scheduler, and what that cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from headrace.environment.units import SECOND_MS
from headrace.local.flink_rest import FlinkRest, Unreachable
from headrace.local.waiting import WaitEnded, wait_until

RESCALED_TIMEOUT_S = 120


@dataclass(frozen=True)
class Cost:
    gap_s: float | None
    """From the end of the job's tasks until all run again; None: they do not yet, Flink goes on trying."""
    repeated_calls: int
    """Under way when the tasks ended, by the last look before."""


def rescale(flink: FlinkRest, job_id: str, parallelism: int, calls_in_flight: Callable[[], int]) -> Cost:
    """Returns when every vertex runs with the parallelism, or has not come to in a long time.

    Raises:
        HeadraceError: Flink refuses, or the job has ended.
    """
    before_ms = flink.restarted_at_ms(job_id)
    calls = calls_in_flight()
    flink.want_parallelism(job_id, parallelism)

    def is_rescaled() -> bool:
        nonlocal calls
        try:
            if flink.restarted_at_ms(job_id) == before_ms:
                # Still the old tasks: what they have under way when they end is what is made again.
                calls = calls_in_flight()
                return False
            return flink.all_running(job_id) and flink.parallelism(job_id) == parallelism
        except Unreachable:
            return False

    try:
        wait_until(f"parallelism {parallelism}", is_rescaled, RESCALED_TIMEOUT_S)
    except WaitEnded:
        return Cost(None, calls)
    gap_s = time.time() - flink.restarted_at_ms(job_id) / SECOND_MS
    return Cost(round(gap_s, 1), calls)
