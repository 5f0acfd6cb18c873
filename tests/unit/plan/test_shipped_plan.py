"""The plan of the shipped declaration, value by value, as it was last agreed on."""

from __future__ import annotations

import json
from pathlib import Path

from headrace.environment import load_environment
from headrace.plan import plan
from headrace.plan_view import plan_json
from tests.unit.environment.declarations import SHIPPED

GOLDEN = Path(__file__).with_name("shipped_plan.json")
"""Written anew by ``headrace plan --stack local --json > tests/unit/plan/shipped_plan.json``."""


def test_the_shipped_plan_is_the_agreed_one() -> None:
    made = json.loads(plan_json(plan(load_environment(SHIPPED))))
    assert made == json.loads(GOLDEN.read_text(encoding="utf-8"))
