"""A minute in which the model's provider refuses everything, under load from before to after."""

from __future__ import annotations

import time
from itertools import pairwise

from tests.chaos.provider.questions import AGENT, asking, evenly
from tests.pipeline.commands import plan_of
from tests.pipeline.figures import figures as gauges
from tests.pipeline.model import Received, ScriptedModel
from tests.pipeline.plugin import Pipeline
from tests.pipeline.waiting import until

PER_SECOND = 8
"""Of 10 that the limit allows, so that what waited is worked off as well."""
BEFORE_S, STORM_S = 5, 60
AFTER_S = 10
"""Throughput is to be back within it, and is counted over as long again."""
RETRY_AFTER_S = 5
ON_THEIR_WAY_S = 0.5
"""Calls that came with the first that was refused."""
AT_WORK_WITHIN_S = 60
SETTLED_WITHIN_S = 240


def test_a_minute_of_429_ends_nothing_wastes_one_call_a_probe_and_is_over_when_it_is_over(
    pipeline: Pipeline, figures: dict[str, object]
) -> None:
    stack, model = pipeline.stack, ScriptedModel(pipeline.stack)
    restarts, began = stack.restarts(), now_ms()
    hard = plan_of(stack, AGENT).spec.limits.inbox_hard_events
    most_in_inbox, probes_before = 0.0, probes(pipeline)
    with asking(stack, evenly(PER_SECOND)) as asked:
        with model.behaving(latency_ms=100.0):
            until("answers", lambda: answered(model.received(began)), AT_WORK_WITHIN_S)
            time.sleep(BEFORE_S)
        with model.behaving(refused_for_s=RETRY_AFTER_S):
            storm_began = now_ms()
            while now_ms() < storm_began + STORM_S * 1_000:
                most_in_inbox = max(most_in_inbox, *gauges(stack, AGENT, "inbox_events").values())
                time.sleep(1)
            storm_ended = now_ms()
        with model.behaving(latency_ms=100.0):
            time.sleep(2 * AFTER_S)
    pipeline.decide(asked.keys(), SETTLED_WITHIN_S)

    calls = model.received(began)
    refused = [call for call in calls if call.outcome == "rate_limited"]
    first = refused[0].at_ms
    on_their_way = [call for call in refused if call.at_ms < first + ON_THEIR_WAY_S * 1_000]
    probing = [call for call in refused if call not in on_their_way]
    after = answered_a_second(calls, storm_ended + AFTER_S * 1_000, AFTER_S)
    figures["storm"] = {
        "refused": len(refused),
        "on_their_way": len(on_their_way),
        "probes": len(probing),
        "most_in_inbox": most_in_inbox,
        "answered_a_second_before": answered_a_second(calls, storm_began - BEFORE_S * 1_000, BEFORE_S),
        "answered_a_second_after": after,
    }
    assert stack.restarts() == restarts
    # It was full: the rest waited in Kafka.
    assert 0.9 * hard <= most_in_inbox <= hard
    assert 1 <= len(probing) <= STORM_S / RETRY_AFTER_S
    assert len(probing) <= probes(pipeline) - probes_before
    for earlier, later in pairwise([on_their_way[-1], *probing]):
        assert later.at_ms >= earlier.at_ms + RETRY_AFTER_S * 1_000
    assert after >= 0.95 * PER_SECOND


def answered(calls: list[Received]) -> list[Received]:
    return [call for call in calls if call.outcome == "answered"]


def answered_a_second(calls: list[Received], since_ms: int, seconds: int) -> float:
    return sum(0 <= call.at_ms - since_ms < seconds * 1_000 for call in answered(calls)) / seconds


def probes(pipeline: Pipeline) -> float:
    return sum(gauges(pipeline.stack, AGENT, "breaker_probes").values())


def now_ms() -> int:
    return time.time_ns() // 1_000_000
