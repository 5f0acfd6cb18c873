"""A customer with a hundred times the questions of another does not make the others wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil

from headrace_agents.records import Outcome, Position
from tests.chaos.limits.questions import AGENT, asking
from tests.pipeline.commands import plan_of
from tests.pipeline.ledger import Topics
from tests.pipeline.model import ScriptedModel
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import in_make_chaos_alone

OTHERS, PER_SECOND = 40, 4
"""Each of them asks every ten seconds."""
NOISY, NOISE_PER_SECOND = 999, 10
PHASE_S = 20
SETTLED_WITHIN_S = 120


@in_make_chaos_alone("that a noisy key holds up no other on a running stack")
def test_a_customer_with_100_times_the_load_raises_the_p99_wait_of_others_by_less_than_twice(
    pipeline: Pipeline, figures: dict[str, object]
) -> None:
    model = ScriptedModel(pipeline.stack)
    with model.behaving(latency_ms=500.0):
        alone = asked_for(pipeline, quiet)
        beside = asked_for(pipeline, lambda second: [NOISY] * NOISE_PER_SECOND + quiet(second))
    pipeline.decide({*alone, *beside}, SETTLED_WITHIN_S)
    waits = waits_ms(pipeline)
    found = {
        "alone_p99_ms": p99([waits[at] for at in alone]),
        "beside_p99_ms": p99([waits[at] for at, customer in beside.items() if customer != NOISY]),
        "noisy_p99_ms": p99([waits[at] for at, customer in beside.items() if customer == NOISY]),
    }
    figures["a_noisy_customer"] = found
    assert found["beside_p99_ms"] < 2 * found["alone_p99_ms"], found
    assert found["noisy_p99_ms"] > 2 * found["alone_p99_ms"], "the noise is none"


def quiet(second: int) -> list[int]:
    return [(second * PER_SECOND + n) % OTHERS for n in range(PER_SECOND)]


def asked_for(pipeline: Pipeline, of_second: Callable[[int], list[int]]) -> dict[Position, int]:
    with asking(pipeline.stack, of_second) as asked:
        time.sleep(PHASE_S)
    return asked


def waits_ms(pipeline: Pipeline) -> dict[Position, int]:
    """From Kafka to the end of the run, by event."""
    topic = plan_of(pipeline.stack, AGENT).spec.outputs.outcomes
    topics = Topics(pipeline.stack.bootstrap_servers, [topic])
    topics.read_to_end()
    topics.close()
    outcomes = [Outcome.model_validate_json(record.value or b"") for record in topics.records[topic]]
    return {
        Position(each.topic, each.partition, each.offset): each.times.finished_at_ms - each.times.kafka_at_ms
        for each in outcomes
        if each.times.finished_at_ms is not None
    }


def p99(values: list[int]) -> int:
    return sorted(values)[ceil(0.99 * len(values)) - 1]
