"""The document of ``headrace plan``: what runs, sizes with reasons, trades, cost drivers in order."""

from __future__ import annotations

import re

import pytest
from rich.console import Console, RenderableType

from headrace.environment import load_environment
from headrace.plan import StackPlan, plan
from headrace.plan.aws import aws_plan
from headrace.plan.differences import Difference
from headrace.plan.summary import local_cost_drivers, local_running, trades
from headrace.plan_document import differences_table, document
from tests.unit.environment.declarations import SHIPPED, on_aws, parsed


@pytest.fixture(scope="module")
def local() -> StackPlan:
    return plan(load_environment(SHIPPED))


def printed(what: RenderableType, width: int = 400) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(what)
    return captured.get()


def test_it_tells_every_part_with_its_size_and_reason(local: StackPlan) -> None:
    shown = re.sub(r"\s+", " ", printed(document(local)))
    for part in local_running(local):
        assert part.name in shown
        assert part.because in shown
    for agent in local.agents:
        assert f"{agent.model_calls_in_flight} in flight" in shown
    for topic in local.topics:
        assert topic.name in shown
    for trade in trades(local.agents, local.flink):
        assert trade.price in shown


def test_cost_drivers_are_in_order_and_whole(local: StackPlan) -> None:
    drivers = local_cost_drivers(local)
    assert [driver.amount for driver in drivers] == sorted((one.amount for one in drivers), reverse=True)
    assert drivers[0].name == "Flink TaskManager"
    assert sum(driver.share for driver in drivers) == pytest.approx(1)


def test_what_was_traded_has_this_plans_numbers(local: StackPlan) -> None:
    chosen = [trade.chosen for trade in trades(local.agents, local.flink)]
    assert "a checkpoint every 2000 ms" in chosen
    assert "2 of 4 slots are spare" in chosen
    assert "support-triage: 30 model calls in flight, 10 needed" in chosen


@pytest.mark.parametrize(
    ("cluster", "told"), [({}, "a new one"), ({"existing": "shared"}, "existing cluster shared")]
)
def test_on_aws_it_tells_whose_the_cluster_is(cluster: dict[str, str], told: str) -> None:
    network = {
        "vpc_id": "vpc-0123456789abcdef0",
        "private_subnet_ids": [f"subnet-{at:017x}" for at in range(3)],
    }
    planned = aws_plan(parsed(on_aws(network=network, cluster=cluster)))
    shown = re.sub(r"\s+", " ", printed(document(planned)))
    assert told in shown
    assert planned.reasons["cluster.existing"] in shown


def test_it_fits_a_narrow_terminal(local: StackPlan) -> None:
    assert max(map(len, printed(document(local), width=80).splitlines())) <= 80


def test_differences_show_both_values_and_the_reason() -> None:
    changed = Difference("flink.checkpoints.interval_ms", 2000, 1000, "max_replay 5s / 5")
    shown = printed(differences_table([changed], "deployed"))
    for part in ("1 differences to deployed", changed.path, "2000", "1000", changed.reason):
        assert part in shown
    assert "No difference to deployed" in printed(differences_table([], "deployed"))
