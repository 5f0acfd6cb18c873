"""How soon a lost process is noticed and its work goes on: all times are shares of ``max_recovery``.

The shares are in ninetieths: each is so many seconds of the usual objective of 90 s.
"""

from __future__ import annotations

from headrace.environment.model import Recovery
from headrace.environment.units import DAY_MS, MINUTE_MS, SECOND_MS
from headrace.plan.because import Because, because, build, settings
from headrace.plan.model import FailoverPlan

PARTS = 90
HEARTBEATS_IN_TIMEOUT = 4
FIRST_BACKOFF_MS = 500
QUIET_TO_OBJECTIVE = (4, 3)


def failover(recovery: Recovery) -> Because[FailoverPlan]:
    """The times, each a share of the objective kept within bounds that Flink and ZooKeeper work with."""
    heartbeat = _share(recovery, 12, 5 * SECOND_MS, 50 * SECOND_MS)
    more, less = QUIET_TO_OBJECTIVE
    return build(
        FailoverPlan,
        heartbeat_timeout_ms=heartbeat,
        heartbeat_interval_ms=because(
            heartbeat.value // HEARTBEATS_IN_TIMEOUT,
            f"{HEARTBEATS_IN_TIMEOUT} heartbeats in {heartbeat.value} ms",
        ),
        leader_session_ms=_share(recovery, 15, 4 * SECOND_MS, 40 * SECOND_MS),
        longest_backoff_ms=_share(recovery, 10, SECOND_MS, MINUTE_MS),
        quiet_ms=because(
            recovery.max_recovery.milliseconds * more // less,
            f"{more}/{less} of max_recovery {recovery.max_recovery}: the next fault is a new one",
        ),
        first_slots_wait_ms=_share(recovery, 3, SECOND_MS, 10 * SECOND_MS),
        more_slots_wait_ms=_share(recovery, 5, SECOND_MS, MINUTE_MS),
        rescale_cooldown_ms=_share(recovery, 10, SECOND_MS, 30 * SECOND_MS),
        registration_retry_ms=_share(recovery, 5, SECOND_MS, 30 * SECOND_MS),
        registration_error_ms=_share(recovery, 2, SECOND_MS // 2, 10 * SECOND_MS),
    )


def failover_options(times: FailoverPlan) -> Because[dict[str, str]]:
    """Heartbeats, registration, adaptive scheduler and restarts, as Flink's options."""
    timed = {
        "heartbeat.timeout": (
            times.heartbeat_timeout_ms,
            "a lost process is noticed, by default in 50 s",
        ),
        "heartbeat.interval": (times.heartbeat_interval_ms, "so that one lost packet is no lost process"),
        "cluster.registration.error-delay": (
            times.registration_error_ms,
            "a JobManager that starts is tried again soon, by default after 10 s",
        ),
        "cluster.registration.refused-registration-delay": (
            times.registration_retry_ms,
            "tried again soon, by default after 30 s",
        ),
        "cluster.registration.max-timeout": (
            times.registration_retry_ms,
            "at the longest, by default 30 s",
        ),
        "jobmanager.adaptive-scheduler.submission.resource-wait-timeout": (
            DAY_MS,
            "a job whose TaskManagers are away waits for them; by default it fails after 5 minutes",
        ),
        "jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout": (
            times.first_slots_wait_ms,
            "for a second TaskManager to come up, by default 10 s",
        ),
        "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling": (
            times.rescale_cooldown_ms,
            "a returned TaskManager is used again within the objective, by default after 30 s",
        ),
        "jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout": (
            times.more_slots_wait_ms,
            "there are no more TaskManagers to come than planned; by default 60 s",
        ),
        "restart-strategy.exponential-delay.initial-backoff": (
            FIRST_BACKOFF_MS,
            "most faults are over at once",
        ),
        "restart-strategy.exponential-delay.max-backoff": (
            times.longest_backoff_ms,
            "what comes back after a long outage is noticed well within the objective",
        ),
        "restart-strategy.exponential-delay.reset-backoff-threshold": (
            times.quiet_ms,
            "without a fault for so long, the next one starts at the first backoff again",
        ),
    }
    durations = {key: (f"{ms} ms", f"as worked out, {ms} ms: {why}") for key, (ms, why) in timed.items()}
    return settings(
        {
            "jobmanager.scheduler": (
                "adaptive",
                "a job goes on with the slots there are: 1 lost TaskManager stops none",
            ),
            "restart-strategy.type": (
                "exponential-delay",
                "a fault that lasts is tried ever more slowly, 0 times given up",
            ),
            "restart-strategy.exponential-delay.backoff-multiplier": (
                "1.5",
                f"{FIRST_BACKOFF_MS} ms, then half as long again each time",
            ),
            "restart-strategy.exponential-delay.jitter-factor": (
                "0.1",
                "a tenth, so that jobs do not restart as one",
            ),
            **durations,
        }
    )


def _share(recovery: Recovery, ninetieths: int, least: int, most: int) -> Because[int]:
    objective = recovery.max_recovery
    share = objective.milliseconds * ninetieths // PARTS
    return because(
        max(least, min(most, share)),
        f"{ninetieths}/{PARTS} of max_recovery {objective} = {share} ms, kept between {least} and {most} ms",
    )
