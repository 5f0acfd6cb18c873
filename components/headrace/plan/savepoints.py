"""Savepoints: how often one is made of an agent that goes on, and how many are kept."""

from __future__ import annotations

from headrace.environment.model import Savepoints
from headrace.plan.because import Because, because, build
from headrace.plan.model import SavepointPlan


def savepoints(declared: Savepoints) -> Because[SavepointPlan]:
    interval = declared.interval
    return build(
        SavepointPlan,
        interval_ms=because(interval.milliseconds, f"declared as savepoints.interval {interval}")
        if interval
        else because(None, "savepoints.interval is not declared: 0 are made of an agent that goes on"),
        history_count=because(
            declared.history_count, f"savepoints.history_count: the newest {declared.history_count} are kept"
        ),
        history_age_ms=because(
            declared.history_age.milliseconds,
            f"savepoints.history_age {declared.history_age}: an older one is not kept, but for the newest",
        ),
    )
