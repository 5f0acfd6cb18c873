"""What a change of the declaration changes in the plan: exactly that, by name, with its reason."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings

from headrace.environment import Environment
from headrace.plan import plan
from headrace.plan.differences import ABSENT, differences
from tests.unit.environment.declarations import environments, parsed, shipped


def as_json(declaration: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(plan(parsed(declaration)).model_dump_json()))


def test_a_changed_fact_is_told_with_the_new_reason() -> None:
    before, declaration = as_json(shipped()), shipped()
    declaration["recovery"]["max_replay"] = "5s"
    found = {one.path: one for one in differences(before, as_json(declaration))}
    interval = found["flink.checkpoints.interval_ms"]
    assert (interval.before, interval.after) == (2_000, 1_000)
    assert interval.reason == "max_replay 5s / 5 = 1000 ms, kept between 200 and 2000 ms"
    rest = {path.rpartition(".")[2] for path in found} - {"interval_ms"}
    assert rest == {
        "min_pause_ms", "tolerable_failures", "mark_interval_ms", "interval", "min-pause",
        "tolerable-failed-checkpoints",
    }  # fmt: skip


def test_what_came_before_others_moves_none_of_them() -> None:
    before, declaration = as_json(shipped()), shipped()
    tables = declaration["sources"][0]["tables"]
    tables.insert(0, {"name": "public.parcels", "primary_key": ["id"]})
    found = {one.path: one for one in differences(before, as_json(declaration))}
    assert {path for path in found if path.startswith("topics")} == {"topics[support.public.parcels]"}
    came = found["topics[support.public.parcels]"]
    assert (came.before, came.after) == (ABSENT, "a part with 4 values")


def test_what_went_is_told() -> None:
    declaration = shipped()
    del declaration["agents"][1]
    found = {one.path: one for one in differences(as_json(shipped()), as_json(declaration))}
    assert found["agents[order-risk]"].after == ABSENT
    assert found["topics[order-risk.journal]"].after == ABSENT


def test_a_plan_of_an_earlier_shape_can_be_compared() -> None:
    before = as_json(shipped())
    del before["flink"]["failover"], before["reasons"]
    (found,) = differences(before, as_json(shipped()))
    assert (found.path, found.before) == ("flink.failover", ABSENT)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(environments(), environments())
def test_a_plan_differs_from_itself_in_nothing_and_from_others_symmetrically(
    one: Environment, other: Environment
) -> None:
    first, second = (json.loads(plan(given).model_dump_json()) for given in (one, other))
    assert differences(first, first) == []
    there = {(found.path, str(found.before), str(found.after)) for found in differences(first, second)}
    back = {(found.path, str(found.after), str(found.before)) for found in differences(second, first)}
    assert there == back
