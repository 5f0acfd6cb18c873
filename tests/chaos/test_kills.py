"""`kill -9` of any one process under load: it heals with no hand, in time, with nothing lost or repeated."""

from __future__ import annotations

import pytest

from headrace.local.supervision import Supervisor
from headrace.operations.victims import CONNECT, Victim
from tests.chaos.victims import PATIENCE_S, VICTIMS, kill_and_heal
from tests.pipeline.injection import leave_a_transaction_open
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import SIZES, in_make_chaos_alone
from tests.pipeline.waiting import until

HEALED_WITHIN_S = 90
"""The bound that is promised."""


@pytest.mark.parametrize("attempt", range(SIZES.kill_rounds))
@pytest.mark.parametrize("victim", VICTIMS, ids=lambda victim: victim.name)
def test_a_killed_process_heals_and_the_count_holds(
    pipeline: Pipeline, victim: Victim, attempt: int, healing: dict[str, list[float]]
) -> None:
    with pipeline.load.running(SIZES.transactions_per_second):
        pipeline.decide_an_event(PATIENCE_S)
        seconds = kill_and_heal(pipeline, victim)
    healing.setdefault(victim.name, []).append(round(seconds, 1))
    pipeline.verify()
    assert seconds <= HEALED_WITHIN_S


@in_make_chaos_alone("a Kafka Connect worker killed within a transaction")
def test_what_a_killed_connect_worker_left_open_keeps_the_next_one_out_no_longer_than_promised(
    pipeline: Pipeline,
) -> None:
    """Connect reads its offsets to their end before it starts, and an open transaction hides that end."""
    stack = pipeline.stack
    offsets = stack.plan.connect.settings["offset.storage.topic"]
    timeout = stack.plan.sources[0].connector_config["producer.override.transaction.timeout.ms"]
    with pipeline.load.running(SIZES.transactions_per_second):
        pipeline.decide_an_event(PATIENCE_S)
        leave_a_transaction_open(stack.bootstrap_servers, offsets, int(timeout))
        seconds = kill_and_heal(pipeline, CONNECT)
    pipeline.verify()
    assert seconds <= HEALED_WITHIN_S


@in_make_chaos_alone("a killed supervisor")
def test_a_killed_supervisor_is_replaced_by_the_next_up(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    with pipeline.load.running(SIZES.transactions_per_second):
        pipeline.decide_an_event(PATIENCE_S)
        supervisor = int(stack.files.supervisor_pid.read_text())
        next(process for process in stack.members() if process.pid == supervisor).kill()
        until("no supervisor", lambda: not Supervisor(stack.files).alive(), PATIENCE_S)
        stack.up()
        pipeline.decide_an_event(PATIENCE_S)
    pipeline.verify()
