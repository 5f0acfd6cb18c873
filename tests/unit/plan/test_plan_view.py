"""What ``headrace plan`` shows: every value with its reason, for people and for programs."""

from __future__ import annotations

import json
import re

from rich.console import Console

from headrace.environment import load_environment
from headrace.plan import StackPlan, plan
from headrace.plan.leaves import leaves
from headrace.plan_view import plan_json, plan_renderable
from tests.unit.environment.declarations import SHIPPED


def test_json_is_the_plan_and_can_be_read_back() -> None:
    made = plan(load_environment(SHIPPED))
    assert StackPlan.model_validate_json(plan_json(made)) == made
    assert json.loads(plan_json(made))["reasons"]["ports.kafka"] == made.reasons["ports.kafka"]


def test_tables_show_every_value_and_every_reason() -> None:
    made = plan(load_environment(SHIPPED))
    console = Console(width=600)
    with console.capture() as captured:
        console.print(plan_renderable(made))
    shown = re.sub(r"\s+", " ", captured.get())
    for leaf in leaves(made):
        assert re.sub(r"\s+", " ", leaf.reason) in shown, leaf.path
    assert "agents[0]: support-triage" in shown
    assert "1856" in shown


def test_tables_fit_a_narrow_terminal() -> None:
    console = Console(width=60)
    with console.capture() as captured:
        console.print(plan_renderable(plan(load_environment(SHIPPED))))
    assert max(len(line) for line in captured.get().splitlines()) <= 60
