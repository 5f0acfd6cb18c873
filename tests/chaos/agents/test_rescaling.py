"""A rescale spreads the shards evenly and takes every event that waits along."""

from __future__ import annotations

from tests.chaos.agents.conftest import MAY_FAIL
from tests.pipeline.commands import command, plan_of
from tests.pipeline.figures import figures
from tests.pipeline.plugin import Pipeline
from tests.pipeline.rescaling import rescale
from tests.pipeline.sizes import in_make_chaos_alone
from tests.pipeline.waiting import until

AGENT = "chronicle"
HELD = 300
"""Events that wait while the agent is paused."""
TOUCHED_WITHIN_S = 60


@in_make_chaos_alone("an even spread of shards")
def test_shards_are_spread_evenly_and_no_event_that_waits_is_lost(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    shards = plan_of(stack, AGENT).spec.shards
    command(stack, AGENT, "pause")
    pipeline.load.insert(HELD)
    until("all of them wait", lambda: waiting(pipeline) == HELD, TOUCHED_WITHIN_S, lambda: waiting(pipeline))
    for parallelism in (4, 1, 2):
        rescale(stack, AGENT, parallelism)
        spread = until(
            f"{shards} shards and {HELD} events with {parallelism} subtasks",
            lambda: spread_of(pipeline, shards),
            TOUCHED_WITHIN_S,
            lambda: (figures(stack, AGENT, "shards"), figures(stack, AGENT, "inbox_events")),
        )
        assert len(spread) == parallelism
        assert max(spread.values()) <= shards / parallelism + 1, spread
        held = sum(report.counts.get("inbox", 0) for report in command(stack, AGENT, "check"))
        assert held == HELD
    command(stack, AGENT, "resume")
    pipeline.verify(may_fail=MAY_FAIL)


def waiting(pipeline: Pipeline) -> int:
    return int(sum(figures(pipeline.stack, AGENT, "inbox_events").values()))


def spread_of(pipeline: Pipeline, shards: int) -> dict[int, float] | None:
    """Shards by subtask, once all are restored with their events."""
    spread = figures(pipeline.stack, AGENT, "shards")
    whole = sum(spread.values()) == shards and waiting(pipeline) == HELD
    return spread if whole else None
