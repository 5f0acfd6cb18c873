"""When an agent's parallelism changes: thresholds and times, the same for every substrate.

On this machine Headrace's own process goes by them, on AWS the operator's autoscaler does. Load that waits
for a model is met by calls in flight (:mod:`headrace.plan.concurrency`), never by these.
"""

from __future__ import annotations

from headrace.environment.model import Environment, Recovery
from headrace.environment.substrates import MAX_TASKMANAGERS
from headrace.environment.units import SECOND_MS
from headrace.plan.because import Because, because, build, settings
from headrace.plan.model import ScalingPlan

UTILISATION_TARGET, UTILISATION_LEAST, UTILISATION_MOST = 0.7, 0.4, 0.9
OBSERVE_MS = 5 * SECOND_MS
OBSERVATIONS_IN_WINDOW = 3
QUIET_TO_COOLDOWN = 4
NORMAL_LAG_S = 5
CATCH_UP_MS = 60 * SECOND_MS


def scaling(recovery: Recovery) -> Because[ScalingPlan]:
    """Thresholds and times."""
    window = OBSERVATIONS_IN_WINDOW * OBSERVE_MS
    cooldown = recovery.max_recovery.milliseconds
    return build(
        ScalingPlan,
        utilisation_target=because(
            UTILISATION_TARGET,
            f"{UTILISATION_TARGET:.0%} of a core: a subtask then takes {1 / UTILISATION_TARGET:.1f} x its "
            "usual load; the autoscaler's own default",
        ),
        utilisation_least=because(
            UTILISATION_LEAST,
            f"under {UTILISATION_LEAST:.0%} of a core fewer subtasks would do: far enough from "
            f"{UTILISATION_TARGET:.0%} that one change does not call for the opposite",
        ),
        utilisation_most=because(
            UTILISATION_MOST,
            f"{UTILISATION_MOST:.0%} of a core: a subtask is one thread of Python, and above this it is full",
        ),
        observe_ms=because(OBSERVE_MS, f"{OBSERVE_MS} ms: what subtasks say of themselves is seconds old"),
        window_ms=because(
            window,
            f"{OBSERVATIONS_IN_WINDOW} looks {OBSERVE_MS} ms apart that all say the same: a burst of a "
            "second changes nothing",
        ),
        cooldown_ms=because(
            cooldown,
            f"max_recovery {recovery.max_recovery}: a rescale is a restart, and its backlog is worked off "
            "by then",
        ),
        quiet_ms=because(
            QUIET_TO_COOLDOWN * cooldown,
            f"{QUIET_TO_COOLDOWN} x the {cooldown} ms between changes: a pause in the load is no end of it",
        ),
        catch_up_ms=because(CATCH_UP_MS, f"{CATCH_UP_MS} ms for what waits, beside what comes meanwhile"),
        normal_lag_s=because(
            NORMAL_LAG_S, f"{NORMAL_LAG_S} s of the declared load: what waits above it is a shortage"
        ),
    )


def autoscaler_thresholds(times: ScalingPlan) -> Because[dict[str, str]]:
    """The same for the operator's autoscaler, in its own options."""
    return settings(
        {
            "job.autoscaler.utilization.target": (
                times.utilisation_target,
                f"{times.utilisation_target:.0%}, as on every substrate",
            ),
            "job.autoscaler.utilization.min": (
                times.utilisation_least,
                f"under {times.utilisation_least:.0%} fewer subtasks would do",
            ),
            "job.autoscaler.utilization.max": (
                times.utilisation_most,
                f"above {times.utilisation_most:.0%} there are too few",
            ),
            "job.autoscaler.stabilization.interval": (
                f"{times.cooldown_ms} ms",
                f"{times.cooldown_ms} ms between changes of an agent",
            ),
            "job.autoscaler.scale-down.interval": (
                f"{times.quiet_ms} ms",
                f"{times.quiet_ms} ms without a shortage before there are fewer; by default 1 h",
            ),
            "job.autoscaler.catch-up.duration": (
                f"{times.catch_up_ms} ms",
                f"{times.catch_up_ms} ms for what waits; by default 30 min",
            ),
        }
    )


def taskmanagers_max(environment: Environment, slots: int) -> Because[int]:
    """The most TaskManager processes of the local cluster, which scaling starts and stops."""
    least = environment.local.taskmanagers
    widest = sum(agent.scaling.parallelism_max for agent in environment.agents)
    needed = -(-widest // slots)
    return because(
        max(least, min(MAX_TASKMANAGERS, needed)),
        f"the agents' parallelism_max adds up to {widest}, in {slots} slots each = {needed}, at least the "
        f"declared {least} and at most {MAX_TASKMANAGERS}",
    )
