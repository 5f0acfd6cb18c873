"""Checkpoints: how often, how long, how many may fail, and how they are taken."""

from __future__ import annotations

from headrace.environment.model import Environment
from headrace.environment.units import MIB
from headrace.plan.because import Because, because, build, settings
from headrace.plan.model import CheckpointPlan
from headrace.plan.state import subtask_state_bytes

USUAL_INTERVAL_MS = 2_000
"""Checkpoints of the agent operator cost the same whatever the model's latency, so they can be this close."""
SHORTEST_INTERVAL_MS = 200
REPLAY_SHARE = 5
"""A failure may come just before a checkpoint ends, after one that failed, and recovery takes time itself."""
SHORTEST_TIMEOUT_MS = 30_000
TIMEOUT_TO_INTERVAL = 5
PAUSE_SHARE = 4
RETAINED = 3
RESTORE_BYTES_PER_S = 50 * MIB
"""What one subtask is counted to read back from the object store."""
RESTORE_SHARE = 10
"""Of ``max_recovery``: a restore that takes longer is worth copies on the local disk."""


def checkpoints(environment: Environment) -> Because[CheckpointPlan]:
    """Interval from the objective, and everything else from the interval."""
    interval = _interval_ms(environment)
    every = interval.value
    outage = environment.recovery.max_outage
    return build(
        CheckpointPlan,
        interval_ms=interval,
        min_pause_ms=because(
            every // PAUSE_SHARE, f"1/{PAUSE_SHARE} of the interval of {every} ms stays free for records"
        ),
        timeout_ms=because(
            max(SHORTEST_TIMEOUT_MS, TIMEOUT_TO_INTERVAL * every),
            f"{TIMEOUT_TO_INTERVAL} x the interval of {every} ms, at least {SHORTEST_TIMEOUT_MS} ms: a hung "
            "one makes room",
        ),
        tolerable_failures=because(
            -(-outage.milliseconds // every),
            f"max_outage {outage} / interval {every} ms: a storage outage that long fails checkpoints, "
            "not the job",
        ),
        retained=because(
            RETAINED,
            f"{RETAINED} checkpoints are kept, so a bad one has {RETAINED - 1} before it",
        ),
        unaligned=because(
            False,
            "1 exchange holds at most 1 s of records, so barriers pass soon; where the inbox is at its hard "
            "bound an unaligned one waits for the bundle too",
        ),
        local_recovery=_local_recovery(environment),
    )


def job_checkpoint_options(rhythm: CheckpointPlan) -> Because[dict[str, str]]:
    """Options of one job that follow from the checkpoints' rhythm."""
    every = rhythm.interval_ms
    return settings(
        {
            "execution.checkpointing.interval": (f"{every} ms", f"the plan's interval, {every} ms"),
            "execution.checkpointing.min-pause": (
                f"{rhythm.min_pause_ms} ms",
                f"the plan's least pause, {rhythm.min_pause_ms} ms",
            ),
            "execution.checkpointing.timeout": (
                f"{rhythm.timeout_ms} ms",
                f"the plan's timeout, {rhythm.timeout_ms} ms",
            ),
            "execution.checkpointing.tolerable-failed-checkpoints": (
                rhythm.tolerable_failures,
                f"the plan's {rhythm.tolerable_failures} failures",
            ),
        }
    )


def cluster_checkpoint_options(rhythm: CheckpointPlan) -> Because[dict[str, str]]:
    """Options that are the same for every job of a cluster."""
    local = "as worked out for the checkpoints, 1 decision for both options"
    return settings(
        {
            "state.backend.type": ("rocksdb", "state may outgrow memory: 1 slot's heap does not bound it"),
            "execution.checkpointing.incremental": (
                True,
                "a checkpoint every second or 2 uploads only what changed",
            ),
            "execution.checkpointing.storage": (
                "filesystem",
                "at S3 paths, as on AWS: 1 configuration for both",
            ),
            "execution.checkpointing.mode": ("EXACTLY_ONCE", "each event changes memory 1 time"),
            "execution.checkpointing.max-concurrent-checkpoints": (
                1,
                "1 at a time, as transactions end with them",
            ),
            "execution.checkpointing.unaligned.enabled": (
                rhythm.unaligned,
                "as worked out for the checkpoints, whose 1 exchange is short",
            ),
            "execution.state-recovery.from-local": (rhythm.local_recovery, local),
            "execution.checkpointing.local-backup.enabled": (rhythm.local_recovery, local),
            "execution.checkpointing.num-retained": (rhythm.retained, f"the plan's {rhythm.retained}"),
            "execution.checkpointing.externalized-checkpoint-retention": (
                "RETAIN_ON_CANCELLATION",
                f"a cancelled job leaves its last {rhythm.retained} checkpoints to start from",
            ),
        }
    )


def _interval_ms(environment: Environment) -> Because[int]:
    declared, max_replay = environment.checkpoints.interval, environment.recovery.max_replay
    if declared is not None:
        return because(
            declared.milliseconds,
            f"declared as checkpoints.interval {declared}, within max_replay {max_replay}",
        )
    share = max_replay.milliseconds // REPLAY_SHARE
    return because(
        max(SHORTEST_INTERVAL_MS, min(USUAL_INTERVAL_MS, share)),
        f"max_replay {max_replay} / {REPLAY_SHARE} = {share} ms, "
        f"kept between {SHORTEST_INTERVAL_MS} and {USUAL_INTERVAL_MS} ms",
    )


def _local_recovery(environment: Environment) -> Because[bool]:
    most = max(map(subtask_state_bytes, environment.agents))
    restore_s = most / RESTORE_BYTES_PER_S
    objective = environment.recovery.max_recovery
    return because(
        restore_s > objective.seconds / RESTORE_SHARE,
        f"the largest subtask has {most // MIB} MiB, read back in {restore_s:.1f} s; copies on the "
        f"local disk are worth it over 1/{RESTORE_SHARE} of max_recovery {objective}",
    )
