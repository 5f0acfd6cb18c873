"""A customer with a hundred times the questions of another does not make the others wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil

from headrace_agents.records import Outcome, Position
from tests.chaos.provider.questions import AGENT, asking
from tests.pipeline.commands import plan_of
from tests.pipeline.figures import figures as gauges
from tests.pipeline.ledger import Topics
from tests.pipeline.model import ScriptedModel
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import in_make_chaos_alone
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

TURN_S = 0.25
OTHERS, A_TURN = 80, 2
"""Each of them asks every ten seconds: 8 a second of the 10 that the limit allows."""
NOISY, NOISE_A_TURN = 999, (2, 3)
"""In turn: 10 a second, of which one key's runs, one after the other, take all that is left and more."""
LATENCY_MS = 300.0
PHASE_S = 30
STEADY_WITHIN_S, SETTLED_WITHIN_S = 60, 120


@in_make_chaos_alone("that a noisy key holds up no other on a running stack")
def test_a_customer_with_100_times_the_load_raises_the_p99_wait_of_others_by_less_than_twice(
    pipeline: Pipeline, figures: dict[str, object]
) -> None:
    stack, model = pipeline.stack, ScriptedModel(pipeline.stack)
    with model.behaving(latency_ms=LATENCY_MS):
        with asking(stack, quiet, TURN_S) as before:
            until("as many calls in flight as it takes", lambda: is_steady(stack), STEADY_WITHIN_S)
        alone = asked_for(stack, quiet)
        beside = asked_for(stack, lambda turn: [NOISY] * NOISE_A_TURN[turn % 2] + quiet(turn))
    pipeline.decide({*before, *alone, *beside}, SETTLED_WITHIN_S)
    waits = waits_ms(pipeline)
    found = {
        "alone_p99_ms": p99([waits[at] for at in alone]),
        "beside_p99_ms": p99([waits[at] for at, customer in beside.items() if customer != NOISY]),
        "noisy_p99_ms": p99([waits[at] for at, customer in beside.items() if customer == NOISY]),
    }
    figures["a_noisy_customer"] = found
    assert found["beside_p99_ms"] < 2 * found["alone_p99_ms"], found
    assert found["noisy_p99_ms"] > 2 * found["alone_p99_ms"], "the noise is none"


def quiet(turn: int) -> list[int]:
    return [(turn * A_TURN + n) % OTHERS for n in range(A_TURN)]


def asked_for(stack: LiveStack, of_turn: Callable[[int], list[int]]) -> dict[Position, int]:
    with asking(stack, of_turn, TURN_S) as asked:
        time.sleep(PHASE_S)
    return asked


def is_steady(stack: LiveStack) -> bool:
    """From the first call in flight on, more are allowed step by step; what had waited for that is done."""
    needed = A_TURN / TURN_S * LATENCY_MS / 1000
    allowed = sum(gauges(stack, AGENT, "concurrency_limit").values())
    waiting = sum(gauges(stack, AGENT, "runs_waiting").values())
    return allowed > needed and waiting == 0


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
