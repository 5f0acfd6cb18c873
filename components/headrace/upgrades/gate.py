"""When a new version counts as healthy, and when it is to be undone.

Healthy means, for the declared time: checkpoints complete, nothing restarts again and again, events are
decided and their backlog does not grow, and dead letters and what an event costs are not above what they
were. Shares are compared by an exact binomial test, so that a handful of events proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from headrace_agents.upgrades.conduct import Conduct

MOST_FAILURES = 2
"""A job that failed so often since the cutover is undone; one failure may be anything's."""
CHECKPOINT_S = 60.0
"""Without a completed checkpoint for so long, and for ten of its intervals, the version is undone."""
DEAD_LETTERS_TIMES = 1.5
"""The share of dead letters that is tolerated, of that before."""
DEAD_LETTERS_FLOOR = 0.005
"""Where there were fewer before, or none."""
SURE = 0.01
"""How unlikely so many dead letters must be at the tolerated share, for the version to be undone."""
DOUBT = 0.2
"""And for it to be watched on: more events tell more."""
FEWEST_DEAD_LETTERS = 5
COST_TIMES = 2.0
"""What an event may cost, of what it cost before."""
FEWEST_RUNS = 20
"""On either side, to compare cost by."""
STILL_S = 30.0
"""With a backlog and nothing decided for so long, the version is undone."""
BACKLOG_SLACK_S = 10.0
"""A backlog may be larger than at the cutover by what comes in so many seconds."""
PATIENCE_TIMES = 3
"""Of the declared time: by then the backlog has to have stopped growing, and doubts end."""


class Look(BaseModel):
    """How a new version does, at one moment."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    """Since it began to run."""
    checkpoints: int
    """Completed."""
    since_checkpoint_s: float
    """Since the last completed checkpoint, or since it began to run."""
    failures: int
    failure: str = ""
    """What the last one says."""
    backlog: int
    """Events in Kafka that it has not read."""
    conduct: Conduct


class Verdict(NamedTuple):
    kind: Literal["healthy", "not yet", "bad"]
    reason: str


def judge(
    before: Conduct, looks: Sequence[Look], healthy_for_s: float, checkpoint_interval_s: float
) -> Verdict:
    """What the looks so far say, the latest last; `before` is the earlier version's conduct."""
    now = looks[-1]
    dead_letters, unlikely = _dead_letters(before, now.conduct)
    bad = (
        _failing(now),
        _not_checkpointing(now, checkpoint_interval_s),
        dead_letters if unlikely < SURE else "",
        _cost(before, now.conduct),
        _standing_still(looks),
    )
    if reason := next(filter(None, bad), ""):
        return Verdict("bad", reason)
    if now.seconds < healthy_for_s:
        return Verdict("not yet", f"{now.seconds:.0f} of {healthy_for_s:.0f} s")
    if not now.checkpoints:
        return Verdict("not yet", "no checkpoint has completed")
    growing = _growing_backlog(looks)
    doubt = f"it may be chance: {dead_letters}" if unlikely < DOUBT else ""
    if (reason := doubt or growing) and now.seconds < PATIENCE_TIMES * healthy_for_s:
        return Verdict("not yet", reason)
    if growing:
        return Verdict("bad", growing)
    return Verdict("healthy", f"healthy for {now.seconds:.0f} s")


def _failing(now: Look) -> str:
    if now.failures < MOST_FAILURES:
        return ""
    return f"it failed {now.failures} times: {now.failure or 'Flink does not say why'}"


def _not_checkpointing(now: Look, interval_s: float) -> str:
    allowed = max(CHECKPOINT_S, 10 * interval_s)
    if now.since_checkpoint_s < allowed:
        return ""
    return f"no checkpoint completed for {now.since_checkpoint_s:.0f} s, allowed are {allowed:.0f}"


def _dead_letters(before: Conduct, after: Conduct) -> tuple[str, float]:
    """What there is to say, and the probability of it, or more, at the tolerated share."""
    tolerated = min(1.0, max(DEAD_LETTERS_FLOOR, DEAD_LETTERS_TIMES * before.dead_letter_share))
    said = (
        f"{after.dead_letters} of {after.events} events became dead letters ({after.dead_letter_share:.1%}), "
        f"before it were {before.dead_letters} of {before.events} ({before.dead_letter_share:.1%})"
    )
    if after.dead_letters < FEWEST_DEAD_LETTERS:
        return said, 1.0
    return said, at_least(after.dead_letters, after.events, tolerated)


def _cost(before: Conduct, after: Conduct) -> str:
    """In money where prices are known, else in calls to models."""
    if min(before.runs, after.runs) >= FEWEST_RUNS and before.picodollars:
        if after.dollars_per_run > COST_TIMES * before.dollars_per_run:
            return f"a run costs ${after.dollars_per_run:.6f}, before it was ${before.dollars_per_run:.6f}"
        return ""
    known = min(before.events, after.events) >= FEWEST_RUNS and before.model_calls > 0
    if known and after.calls_per_event > COST_TIMES * before.calls_per_event:
        return (
            f"an event takes {after.calls_per_event:.2f} calls to the model, "
            f"before it took {before.calls_per_event:.2f}"
        )
    return ""


def _standing_still(looks: Sequence[Look]) -> str:
    now = looks[-1]
    earlier = [look for look in looks if look.seconds <= now.seconds - STILL_S]
    if not earlier or not now.backlog or not earlier[-1].backlog:
        return ""
    if now.conduct.events > earlier[-1].conduct.events:
        return ""
    return f"{now.backlog} events wait, and none was decided for {STILL_S:.0f} s"


def _growing_backlog(looks: Sequence[Look]) -> str:
    first, now = looks[0], looks[-1]
    rate = now.conduct.events / now.seconds if now.seconds else 0.0
    allowed = first.backlog + rate * BACKLOG_SLACK_S
    if now.backlog <= allowed:
        return ""
    return f"{now.backlog} events wait, at first it were {first.backlog}"


def at_least(successes: int, trials: int, share: float) -> float:
    """The probability of so many successes or more, each with this probability (binomial distribution)."""
    if successes <= 0:
        return 1.0
    if share <= 0 or successes > trials:
        return 0.0
    if share >= 1:
        return 1.0
    below = math.fsum(math.exp(_log_probability(count, trials, share)) for count in range(successes))
    return max(0.0, 1.0 - below)


def _log_probability(successes: int, trials: int, share: float) -> float:
    ways = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
    return ways + successes * math.log(share) + (trials - successes) * math.log1p(-share)
