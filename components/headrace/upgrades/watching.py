"""A new version watched until it is healthy or has to be undone."""

from __future__ import annotations

import time
from collections.abc import Callable

from headrace.environment.duration import Duration
from headrace.errors import HeadraceError
from headrace.upgrades.gate import Look, Verdict, judge
from headrace.upgrades.record import Cutover
from headrace.upgrades.substrate import Substrate, V, VersionInputs
from headrace.waiting import WaitCancelled, cancelled
from headrace_agents.upgrades.conduct import Conduct
from headrace_agents.upgrades.told import Seen

LOOK_EVERY_S = 2.0
GONE_S = 90.0
"""A job of which there is nothing to be seen for so long, and that is none any more, has ended for good: one
that a JobManager recovers is there again by then."""
UNSEEN_S = 600.0
"""After which a watch ends without a word: what it looks by does not answer, which is no version's fault."""


def watch(
    inputs: V,
    substrate: Substrate[V],
    before: Conduct,
    cutover: Cutover,
    seen: Callable[[Look, Verdict], None],
) -> Verdict:
    """The gate's last word: healthy or bad.

    Raises:
        HeadraceError: there was nothing to be seen for :data:`UNSEEN_S`; the next command goes on with it.
    """
    interval_s, looks = _interval_s(inputs), list[Look]()
    with substrate.watched(inputs, cutover) as look_now:
        began = last = time.monotonic()
        while True:
            look = _look(look_now, time.monotonic() - began)
            if look is None:
                unseen_s = time.monotonic() - last
                if unseen_s > GONE_S and _is_gone(substrate):
                    return Verdict("bad", "its job has ended")
                if unseen_s > UNSEEN_S:
                    raise HeadraceError(
                        f"agent {inputs.name}: nothing was to be seen of its new version for {unseen_s:.0f}"
                        " s, so it is neither kept nor undone; the next command watches on"
                    )
            else:
                last = time.monotonic()
                looks.append(look)
                verdict = judge(before, looks, inputs.healthy_for_s, interval_s)
                seen(look, verdict)
                if verdict.kind != "not yet":
                    return verdict
            if cancelled.wait(LOOK_EVERY_S):
                raise WaitCancelled(f"cancelled while agent {inputs.name} is watched; run the command again")


def _is_gone(substrate: Substrate[V]) -> bool:
    try:
        return not substrate.has_job()
    except HeadraceError:
        return False


def _look(look_now: Callable[[], Seen | None], seconds: float) -> Look | None:
    try:
        seen = look_now()
    except HeadraceError:
        return None
    if seen is None:
        return None
    since_s = time.time() - seen.vitals.checkpoint_ms / 1000
    return Look(
        seconds=seconds,
        checkpoints=seen.vitals.checkpoints,
        since_checkpoint_s=min(seconds, max(0.0, since_s)),
        failures=seen.vitals.failures,
        failure=seen.vitals.failure,
        backlog=seen.backlog,
        conduct=seen.conduct,
    )


def _interval_s(inputs: VersionInputs) -> float:
    """Of checkpoints, as the job's options have it: Flink's way to write a duration has a blank before the
    unit."""
    interval = inputs.job_spec.flink_configuration.get("execution.checkpointing.interval")
    return Duration.parse(interval.replace(" ", "")).seconds if interval else 0.0
