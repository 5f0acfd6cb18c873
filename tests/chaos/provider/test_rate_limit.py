"""A limit in requests a minute is kept, and used, by 1, 2 and 4 subtasks and while they are rescaled."""

from __future__ import annotations

import time

from headrace.environment.units import MINUTE_MS
from tests.chaos.provider.questions import AGENT, asking, evenly
from tests.pipeline.commands import plan_of
from tests.pipeline.model import ScriptedModel
from tests.pipeline.plugin import Pipeline
from tests.pipeline.rescaling import rescale
from tests.pipeline.sizes import SIZES, in_make_chaos_alone
from tests.pipeline.waiting import until

ASKED_PER_SECOND = 12
"""More than the limit, by so much that each of 4 subtasks has its share of it."""
AT_WORK_WITHIN_S = 60
SETTLING_S = 5
"""Until each subtask has events that wait."""
ENDED_WITHIN_S = 2
"""A call: it is in the model's log after that."""
SETTLED_WITHIN_S = 240


@in_make_chaos_alone("that a limit a minute is kept and used through rescales")
def test_no_sliding_minute_exceeds_the_limit_through_rescales_and_95_percent_of_it_are_used(
    pipeline: Pipeline, figures: dict[str, object]
) -> None:
    stack, model = pipeline.stack, ScriptedModel(pipeline.stack)
    spec = plan_of(stack, AGENT).spec.model
    assert spec is not None
    limit = spec.requests_per_minute
    assert limit is not None
    began, used = now_ms(), dict[int, float]()
    with model.behaving(latency_ms=100.0), asking(stack, evenly(ASKED_PER_SECOND)) as asked:
        for subtasks in (1, 2, 4):
            rescale(stack, AGENT, subtasks)
            wait_for_calls(model)
            time.sleep(SETTLING_S)
            used[subtasks] = calls_a_minute(model, SIZES.rate_limited_s)
    # Of several subtasks one that has no event left uses none of its share: alone it has all of the limit.
    rescale(stack, AGENT, plan_of(stack, AGENT).spec.parallelism)
    pipeline.decide(asked.keys(), SETTLED_WITHIN_S)

    most = most_in_a_minute([call.at_ms for call in model.received(began)])
    figures["requests_per_minute"] = {"limit": limit, "most": most, "used_by_subtasks": used}
    assert most <= limit
    assert min(used.values()) >= 0.95 * limit, used


def wait_for_calls(model: ScriptedModel) -> None:
    since = now_ms()
    until("calls", lambda: model.received(since), AT_WORK_WITHIN_S)


def calls_a_minute(model: ScriptedModel, seconds: int) -> float:
    since, ends = now_ms(), now_ms() + seconds * 1_000
    time.sleep(seconds + ENDED_WITHIN_S)
    return sum(call.at_ms < ends for call in model.received(since)) * MINUTE_MS / (ends - since)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def most_in_a_minute(at_ms: list[int]) -> int:
    """Over all sliding minutes, half open: each may begin at a call."""
    most = end = 0
    for start, first in enumerate(at_ms):
        while end < len(at_ms) and at_ms[end] < first + MINUTE_MS:
            end += 1
        most = max(most, end - start)
    return most
