"""What becomes of a load that is too much for the model's provider, for the calls in flight, for a processor.

In this order: the first two have to leave the one subtask that there is alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from headrace.local.scaling.orders import bounds
from headrace_agents.records import Position
from headrace_testing_agents.labour import LABORIOUS
from tests.pipeline.commands import plan_of
from tests.pipeline.figures import figures as gauges
from tests.pipeline.injection import created, inject
from tests.pipeline.load import TICKETS
from tests.pipeline.model import ScriptedModel
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import IS_FULL, SIZES, in_make_chaos_alone
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

AGENT = "chronicle"
TOPIC = f"support.{TICKETS}"
CUSTOMERS = 500
NORMAL_AGAIN_S = 120
"""After the end of a spike."""
SAID_WITHIN_S = 60
HELD_S = 30
"""So long the decision to change nothing has to stand: two windows of looks."""
LIMIT_PER_SECOND = 10
SLOW_MS = 2_000.0
BATCH_S = 5
"""Of load that is sent together: each time a producer is made."""
SPIKE = 10
"""Times the declared load."""

pytestmark = in_make_chaos_alone("scaling under spikes")

numbers = iter(range(1, 10**9))


def load(stack: LiveStack, per_second: int, seconds: int, status: str = "open") -> Iterator[list[Position]]:
    """Tickets as Debezium would have written them, those of some seconds at a time and in time."""
    started = time.monotonic()
    for second in range(0, seconds, BATCH_S):
        time.sleep(max(0.0, started + second - time.monotonic()))
        records = {}
        for _ in range(per_second * BATCH_S):
            number = next(numbers)
            customer = number % CUSTOMERS
            row = {
                "id": number,
                "customer_id": customer,
                "subject": "A question",
                "body": "",
                "status": status,
            }
            key = b'{"customer_id":%d}' % customer
            records[str(number)] = (key, created(TICKETS, row))
        yield list(inject(stack.bootstrap_servers, TOPIC, records).values())


def declared_rate(stack: LiveStack) -> int:
    return int(plan_of(stack, AGENT).model_calls_per_second)


def positions(loaded: Iterator[list[Position]]) -> set[Position]:
    return {position for each in loaded for position in each}


def scaling(stack: LiveStack) -> dict[str, Any]:
    """What `headrace status` says of the agent."""
    found = [each for each in stack.json("status")["scaling"] if each["name"] == AGENT]
    return found[0] if found else {"decision": None}


def said(stack: LiveStack, decision: str) -> dict[str, Any]:
    """The status, once it says this decision."""

    def found() -> dict[str, Any] | None:
        status = scaling(stack)
        return status if status["decision"] == decision else None

    return until(f"status says {decision}", found, SAID_WITHIN_S, lambda: scaling(stack))


def one_subtask(stack: LiveStack, job: str) -> bool:
    wanted = stack.flink.wanted_parallelism(job)
    return (
        wanted == 1 and stack.flink.running_parallelism(job) == 1 and "taskmanager-2" not in stack.processes()
    )


def test_a_limit_of_the_models_provider_scales_nothing_and_the_status_says_why(
    pipeline: Pipeline, figures: dict[str, object]
) -> None:
    stack, model = pipeline.stack, ScriptedModel(pipeline.stack)
    job, processes = stack.job_ids()[AGENT], stack.processes()
    with model.behaving(rate_limit={"per_second": LIMIT_PER_SECOND}):
        sent = positions(load(stack, declared_rate(stack), SIZES.limited_s))
        found = said(stack, "model_limit")
        assert "refuses" in found["reason"]
        assert "429" in found["reason"]
        assert "model_limit" in stack.succeed("status")
        deadline = time.monotonic() + HELD_S
        while time.monotonic() < deadline:
            assert one_subtask(stack, job)
            assert scaling(stack)["decision"] in ("model_limit", "elsewhere")
        assert scaling(stack)["last_rescale"] is None
    assert stack.processes() == processes
    pipeline.decide(sent, NORMAL_AGAIN_S)
    figures["model_limit"] = {"events": len(sent), "said": found["reason"]}


def test_a_model_that_is_slower_gets_more_calls_in_flight_and_no_process_more(
    pipeline: Pipeline, figures: dict[str, object]
) -> None:
    stack, model = pipeline.stack, ScriptedModel(pipeline.stack)
    job, processes = stack.job_ids()[AGENT], stack.processes()
    spec = plan_of(stack, AGENT).spec
    assert spec.model is not None
    start = spec.model.concurrency
    assert start is not None
    most = [0.0]

    def grown() -> bool:
        most[0] = max(most[0], *gauges(stack, AGENT, "calls_in_flight").values())
        return most[0] > 2 * start

    with model.behaving(latency_ms=SLOW_MS):
        sent = positions(load(stack, declared_rate(stack), SIZES.limited_s))
        until("twice as many calls in flight", grown, SAID_WITHIN_S, lambda: most)
        assert one_subtask(stack, job)
    pipeline.decide(sent, NORMAL_AGAIN_S)
    assert one_subtask(stack, job)
    assert stack.processes() == processes
    assert scaling(stack)["last_rescale"] is None
    figures["calls_in_flight"] = {"at_the_start": start, "most": most[0]}


def test_ten_times_the_load_on_an_instant_model_is_met_by_subtasks_within_the_bounds(
    pipeline: Pipeline, figures: dict[str, object]
) -> None:
    stack, model = pipeline.stack, ScriptedModel(pipeline.stack)
    job, processes = stack.job_ids()[AGENT], stack.processes()
    within = bounds(plan_of(stack, AGENT))
    paid_twice = model.paid_twice()
    sent = positions(load(stack, SPIKE * declared_rate(stack), SIZES.spike_s, LABORIOUS))
    ended = time.monotonic()
    pipeline.decide(sent, NORMAL_AGAIN_S)
    normal_again_s = time.monotonic() - ended
    found = until("the rescale", lambda: rescaled(stack), SAID_WITHIN_S, lambda: scaling(stack))
    before, after = found["last_rescale"]
    assert before == within.least < after <= within.most
    assert found["gap_s"] > 0
    assert found["repeated_calls"] >= 0
    until("all subtasks", lambda: stack.flink.running_parallelism(job) == after, SAID_WITHIN_S)
    # The same job, in the same processes and the TaskManagers that came.
    assert stack.job_ids() == {AGENT: job}
    assert processes.items() <= stack.processes().items()
    assert set(stack.processes()) - set(processes) == {f"taskmanager-{n}" for n in range(2, after + 1)}
    if IS_FULL:
        wait_for_quiet(stack, processes)
    pipeline.verify()
    figures["spike"] = {
        "events": len(sent),
        "normal_again_s": round(normal_again_s, 1),
        "rescaled": f"{before} to {after}",
        "gap_s": found["gap_s"],
        "repeated_calls_reported": found["repeated_calls"],
        "calls_paid_twice": model.paid_twice() - paid_twice,
    }


def rescaled(stack: LiveStack) -> dict[str, Any] | None:
    found = scaling(stack)
    return found if found["last_rescale"] else None


def wait_for_quiet(stack: LiveStack, processes: dict[str, int]) -> None:
    """One subtask again, and of the TaskManagers that came none that runs no subtask."""
    quiet_s = stack.plan.scaling.quiet_ms / 1000
    until("one subtask", lambda: scaling(stack)["parallelism"] == 1, 2 * quiet_s, lambda: scaling(stack))

    def follows() -> bool:
        at_work = {each.id for each in stack.flink.taskmanagers() if each.slots_in_use}
        return set(stack.processes()) - set(processes) <= at_work

    until("the others stopped", follows, SAID_WITHIN_S, stack.processes)
