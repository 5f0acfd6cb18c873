"""Checkpoints: how often, how long, how many may fail."""

from __future__ import annotations

from headrace.environment.model import Checkpoints, Recovery
from headrace.plan.because import Because, because, build
from headrace.plan.model import CheckpointPlan

USUAL_INTERVAL_MS = 2_000
"""Checkpoints of the agent operator cost the same whatever the model's latency, so they can be this close."""
SHORTEST_INTERVAL_MS = 200
REPLAY_SHARE = 5
"""A failure may come just before a checkpoint ends, after one that failed, and recovery takes time itself."""
SHORTEST_TIMEOUT_MS = 30_000


def checkpoints(declared: Checkpoints, recovery: Recovery) -> Because[CheckpointPlan]:
    """Interval from the objective, and everything else from the interval."""
    interval = _interval_ms(declared, recovery)
    every = interval.value
    pause = every // 4
    timeout = max(SHORTEST_TIMEOUT_MS, 5 * every)
    outage = recovery.max_outage
    tolerable = -(-outage.milliseconds // every)
    return build(
        CheckpointPlan,
        interval_ms=interval,
        min_pause_ms=because(pause, f"a quarter of the interval of {every} ms stays free for records"),
        timeout_ms=because(
            timeout,
            f"5 x the interval of {every} ms, at least {SHORTEST_TIMEOUT_MS} ms: a hung one makes room",
        ),
        tolerable_failures=because(
            tolerable,
            (
                f"max_outage {outage} / interval {every} ms: a storage outage that long "
                "fails checkpoints, not the job"
            ),
        ),
        retained=because(3, "3 checkpoints are kept, so one that can't be read has 2 before it"),
    )


def _interval_ms(declared: Checkpoints, recovery: Recovery) -> Because[int]:
    if declared.interval is not None:
        return because(
            declared.interval.milliseconds,
            f"declared as checkpoints.interval {declared.interval}, within max_replay {recovery.max_replay}",
        )
    share = recovery.max_replay.milliseconds // REPLAY_SHARE
    return because(
        max(SHORTEST_INTERVAL_MS, min(USUAL_INTERVAL_MS, share)),
        f"max_replay {recovery.max_replay} / {REPLAY_SHARE} = {share} ms, "
        f"kept between {SHORTEST_INTERVAL_MS} and {USUAL_INTERVAL_MS} ms",
    )
