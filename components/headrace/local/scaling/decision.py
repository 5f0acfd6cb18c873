"""What to do about an agent's load: a pure function of what was observed.

More subtasks are for a shortage of processor time alone. Load that waits for the model is the workers' to
meet, with more calls in flight (:mod:`headrace_agents.slots`); what the model's provider limits is met by
nothing that costs more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from headrace.environment.units import MINUTE_MS, SECOND_MS
from headrace.local.scaling.orders import Bounds
from headrace.plan.model import ScalingPlan

Cause = Literal[
    "bounds",
    "calls_at_bound",
    "calls_in_flight",
    "cooling_down",
    "elsewhere",
    "met",
    "model_limit",
    "no_slots",
    "not_whole",
    "processor",
    "quiet",
    "watching",
]

MINUTE_S = MINUTE_MS // SECOND_MS
NEAR = 0.95
"""Of a declared rate: with so many answers the limit is reached."""


@dataclass(frozen=True)
class Observation:
    """Of one agent, at one moment; rates are since the observation before."""

    at: float
    """Seconds since the epoch."""
    running: int
    """Subtasks; 0 while not all tasks of the job run."""
    wanted: int
    """Subtasks that the adaptive scheduler is told to take the job to."""
    backlog: int
    """Events that wait: in Kafka, and in the inboxes."""
    settled_per_s: float
    """Events that got their outcome."""
    busy: float
    """Of a processor core, mean over the subtasks: 0 to 1."""
    answered_per_s: float
    """Calls of the model."""
    limited_per_s: float
    """Calls that its provider refused for their rate (429)."""
    tokens_per_s: float
    """Of input and output."""
    runs_waiting: int
    """For one of the runs that may be under way at once to end."""
    concurrency_limit: int
    """Runs that may be under way at once by now."""
    calls_in_flight: int


@dataclass(frozen=True)
class Decision:
    parallelism: int
    """To be wanted; what is wanted already where nothing changes."""
    cause: Cause
    reason: str
    """One sentence with the numbers."""


def decide(bounds: Bounds, times: ScalingPlan, seen: Sequence[Observation], changed_at: float) -> Decision:
    """The decision after the last of ``seen``, which are in their order; all bounds hold in any case.

    ``changed_at`` is when the parallelism was last changed, seconds since the epoch.
    """
    now = seen[-1]
    within = max(bounds.least, min(bounds.most, now.wanted))
    if within != now.wanted:
        return Decision(within, "bounds", f"{now.wanted} is outside of {bounds.least} to {bounds.most}")
    if now.running != now.wanted:
        return _hold(now, "not_whole", f"{now.running} of {now.wanted} subtasks run: Flink brings them back")
    window = _since(seen, now.at - times.window_ms / SECOND_MS, now)
    if window is None:
        return _hold(now, "watching", f"it runs like this for less than {times.window_ms} ms")
    if _is_short(bounds, window):
        return _shortage(bounds, times, window, changed_at)
    return _fewer(bounds, times, seen, changed_at)


def _shortage(
    bounds: Bounds, times: ScalingPlan, window: Sequence[Observation], changed_at: float
) -> Decision:
    """Something waits: what for decides what helps."""
    now = window[-1]
    lag = f"{now.backlog} events wait"
    busy = _mean(each.busy for each in window)
    if limit := _model_limit(bounds, window):
        return _hold(now, "model_limit", f"{lag}; {limit}: more subtasks would get no more answers")
    if busy < times.utilisation_target:
        return _without_processor(bounds, now, f"{lag}; subtasks use {busy:.0%} of a core each")
    if now.wanted >= bounds.most:
        return _hold(
            now,
            "bounds",
            f"{lag}; subtasks use {busy:.0%} of a core each, but parallelism_max is {bounds.most}",
        )
    if cooling := _cooling(times, now, changed_at):
        return _hold(now, "cooling_down", f"{lag}; {cooling}")
    wanted = _needed(bounds, times, window, busy)
    return Decision(
        wanted,
        "processor",
        f"{lag}, {_mean(each.settled_per_s for each in window):.0f} a second are decided and subtasks use "
        f"{busy:.0%} of a core each: {wanted} subtasks work it off in {times.catch_up_ms} ms, within "
        f"{bounds.least} to {bounds.most}",
    )


def _without_processor(bounds: Bounds, now: Observation, found: str) -> Decision:
    """Whatever is short, it is not what more subtasks would bring."""
    if now.runs_waiting and now.concurrency_limit < bounds.calls_most:
        return _hold(
            now,
            "calls_in_flight",
            f"{found}: runs wait for the model, so its workers go from {now.concurrency_limit} calls in "
            f"flight up to {bounds.calls_most} as far as it keeps up, in the processes there are",
        )
    if now.runs_waiting and bounds.calls_most:
        return _hold(
            now,
            "calls_at_bound",
            f"{found}: runs wait for the model, and {now.concurrency_limit} calls in flight are the most "
            "that it is given (model.max_concurrency)",
        )
    return _hold(
        now, "elsewhere", f"{found}: what they wait for is not the processor (a key's order, a pause, Kafka)"
    )


def _fewer(bounds: Bounds, times: ScalingPlan, seen: Sequence[Observation], changed_at: float) -> Decision:
    """Fewer subtasks, where for all of the quiet time fewer would have done."""
    now = seen[-1]
    met = _hold(now, "met", f"{now.backlog} events wait, up to {bounds.normal_lag_events} are usual")
    quiet = _since(seen, now.at - times.quiet_ms / SECOND_MS, now)
    if now.wanted == bounds.least or quiet is None or _cooling(times, now, changed_at):
        return met
    busiest = max(each.busy for each in quiet)
    wanted = max(bounds.least, math.ceil(now.wanted * busiest / times.utilisation_target))
    if wanted >= now.wanted or busiest >= times.utilisation_least:
        return met
    if any(_waits(bounds, each) or each.limited_per_s for each in quiet):
        return met
    return Decision(
        wanted,
        "quiet",
        f"for {times.quiet_ms} ms no more than {bounds.normal_lag_events} events waited and subtasks used at "
        f"most {busiest:.0%} of a core each: {wanted} would have done",
    )


def _is_short(bounds: Bounds, window: Sequence[Observation]) -> bool:
    """A worker that starts, or is busy and keeps up, is short of nothing: only what waits is a shortage."""
    return all(_waits(bounds, each) for each in window)


def _waits(bounds: Bounds, each: Observation) -> bool:
    return each.backlog > bounds.normal_lag_events


def _model_limit(bounds: Bounds, window: Sequence[Observation]) -> str:
    """How the provider limits calls; empty where it does not."""
    limited = _mean(each.limited_per_s for each in window)
    answered = _mean(each.answered_per_s for each in window)
    if limited:
        return (
            f"the model's provider answers {answered:.1f} calls a second and refuses {limited:.1f} "
            "for their rate (429)"
        )
    declared = bounds.requests_per_minute
    if declared is not None and answered * MINUTE_S >= NEAR * declared:
        return f"{answered * MINUTE_S:.0f} calls a minute are the declared requests_per_minute {declared}"
    tokens, most = _mean(each.tokens_per_s for each in window) * MINUTE_S, bounds.tokens_per_minute
    if most is not None and tokens >= NEAR * most:
        return f"{tokens:.0f} tokens a minute are the declared tokens_per_minute {most}"
    return ""


def _needed(bounds: Bounds, times: ScalingPlan, window: Sequence[Observation], busy: float) -> int:
    """Subtasks at the wanted utilisation for what comes, with what waits worked off in the catch-up time.

    One subtask more at least, so that a shortage whose size can't be told is met too.
    """
    first, now = window[0], window[-1]
    settled = _mean(each.settled_per_s for each in window)
    growth = max(0.0, (now.backlog - first.backlog) / (now.at - first.at)) if now.at > first.at else 0.0
    excess = max(0, now.backlog - bounds.normal_lag_events)
    demand = settled + growth + excess / (times.catch_up_ms / SECOND_MS)
    times_load = demand / settled if settled else math.inf
    needed = now.wanted * busy / times.utilisation_target * times_load
    return bounds.most if needed >= bounds.most else max(now.wanted + 1, math.ceil(needed))


def _cooling(times: ScalingPlan, now: Observation, changed_at: float) -> str:
    """How long until the next change; empty where there may be one."""
    left = changed_at + times.cooldown_ms / SECOND_MS - now.at
    return f"the next change is in {left:.0f} s at the earliest" if left > 0 else ""


def _since(seen: Sequence[Observation], start: float, now: Observation) -> Sequence[Observation] | None:
    """Observations from then on; None unless all of the time was seen, with all subtasks of now."""
    inside = [each for each in seen if each.at >= start]
    is_whole = all(each.running == each.wanted == now.wanted for each in inside)
    return inside if is_whole and len(inside) > 1 and seen[0].at <= start else None


def _hold(now: Observation, cause: Cause, reason: str) -> Decision:
    return Decision(now.wanted, cause, reason)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
