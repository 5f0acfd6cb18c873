"""Everything under a chronicle breaks, its model too, while it is rescaled: nothing lost, nothing twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from headrace.operations.victims import JOBMANAGER, TASKMANAGER, WORKERS, Victim
from tests.chaos.agents.conftest import MAY_FAIL
from tests.chaos.victims import kill_and_heal
from tests.pipeline.commands import plan_of
from tests.pipeline.injection import inject
from tests.pipeline.journals import owners
from tests.pipeline.load import TICKETS
from tests.pipeline.model import ScriptedModel
from tests.pipeline.plugin import Pipeline
from tests.pipeline.poison import UNDECIDABLE
from tests.pipeline.rescaling import rescale
from tests.pipeline.sizes import SIZES

AGENT = "chronicle"
TOPIC = "support.public.tickets"
SEED = 4
MOST_BETWEEN_FAULTS_S = 4
FAULTS = {
    "latency_ms": {"p50": 100.0, "p99": 500.0},
    "error_rate": 0.05,
    "hang_rate": 0.005,
    "malformed_rate": 0.02,
}
"""Of the model; what it hangs on is past the run's deadline."""
SETTLED_WITHIN_S = 300

Fault = Callable[[Pipeline], object]


def test_nothing_is_lost_and_nothing_is_twice_while_everything_breaks(
    pipeline: Pipeline, figures: dict[str, object]
) -> None:
    stack, model, moments = pipeline.stack, ScriptedModel(pipeline.stack), random.Random(SEED)
    plan = plan_of(stack, AGENT)
    assert plan.spec.model is not None
    paid_twice, started = model.paid_twice(), len(owners(stack, plan))
    in_flight: list[int] = []
    with model.behaving(**FAULTS):
        with pipeline.load.running(SIZES.transactions_per_second):
            pipeline.decide_an_event(SETTLED_WITHIN_S)
            for fault in faults(moments):
                # A fault comes at any moment of a checkpoint, a run or a recovery.
                time.sleep(moments.uniform(0, MOST_BETWEEN_FAULTS_S))
                in_flight.append(model.calls()["in_flight"])
                fault(pipeline)
        poison = {name: (key, value) for name, (key, value, _) in UNDECIDABLE.items()}
        poisoned = inject(stack.bootstrap_servers, TOPIC, poison).values()
        tickets = sum(change.table == TICKETS for change in pipeline.load.committed)
        pipeline.load.insert(max(0, SIZES.agent_events - tickets))
        pipeline.decide(poisoned, SETTLED_WITHIN_S)
        book = pipeline.verify(SETTLED_WITHIN_S, may_fail=MAY_FAIL)
    rescale(stack, AGENT, plan.spec.parallelism)

    paid_twice = model.paid_twice() - paid_twice
    restarts = len(owners(stack, plan)) - started
    most_in_flight = restarts * plan.spec.model.max_concurrency
    figures["faults"] = {
        "events": len(book.agents[AGENT].outcomes),
        "faults": len(in_flight),
        "calls_in_flight_at_the_faults": sum(in_flight),
        "starts_of_subtasks": restarts,
        "runs_in_flight_at_most": most_in_flight,
        "calls_paid_twice": paid_twice,
    }
    assert len(book.agents[AGENT].outcomes) >= SIZES.agent_events
    assert paid_twice <= most_in_flight


def faults(moments: random.Random) -> Iterator[Fault]:
    """Kills in an order by chance; a third of the way there are 4 subtasks, then 1."""
    kills = [WORKERS, TASKMANAGER, JOBMANAGER] * SIZES.agent_kills
    moments.shuffle(kills)
    third = len(kills) // 3
    yield from map(killing, kills[:third])
    yield lambda pipeline: rescale(pipeline.stack, AGENT, 4)
    yield from map(killing, kills[third : 2 * third])
    yield lambda pipeline: rescale(pipeline.stack, AGENT, 1)
    yield from map(killing, kills[2 * third :])


def killing(victim: Victim) -> Fault:
    return lambda pipeline: kill_and_heal(pipeline, victim)
