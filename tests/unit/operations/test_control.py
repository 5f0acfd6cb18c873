"""Commands to shards, and what is made of their reports."""

from __future__ import annotations

import json

import pytest

from headrace.operations.control import Hearing, new_command, patience_s, ranges, unreported
from headrace.operations.stack import Stack
from headrace_agents.control import Command, Problem, Report, records_of


def report(command: Command, shard: int, **content: object) -> Report:
    given = {"command": command.id, "kind": command.kind, "shard": shard, "done": True, **content}
    return Report.model_validate(given)


def test_every_shard_gets_the_command_under_its_own_key() -> None:
    command = new_command("get", (7,))
    records = records_of(command, 3)
    assert [json.loads(key) for key, _ in records] == [{"headrace.shard": shard} for shard in range(3)]
    assert {Command.model_validate_json(value) for _, value in records} == {command}


def test_two_commands_are_never_the_same() -> None:
    assert new_command("pause").id != new_command("pause").id


def test_counts_and_problems_of_all_shards_come_together() -> None:
    command, problem = new_command("check"), Problem(what="memory", key="[7]", reason="no")
    hearing = Hearing(command, 3)
    assert hearing.take(report(command, 0, done=False, problems=[problem]))
    assert hearing.missing == [0, 1, 2]
    assert hearing.take(report(command, 0, counts={"memory": 2, "unreadable": 1}))
    assert hearing.take(report(command, 2, counts={"memory": 3}))
    assert hearing.missing == [1]
    assert (dict(hearing.counts), hearing.problems) == ({"memory": 5, "unreadable": 1}, [problem])


def test_what_was_heard_before_or_is_about_another_command_is_nothing() -> None:
    command = new_command("check")
    hearing = Hearing(command, 2)
    assert not hearing.take(report(new_command("check"), 0))
    assert hearing.take(report(command, 0, counts={"memory": 1}))
    assert not hearing.take(report(command, 0, counts={"memory": 1}))
    assert hearing.counts["memory"] == 1


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((), ""), ((4,), "4"), ((3, 1, 2), "1-3"), ((0, 2, 3, 9), "0, 2-3, 9")],
)
def test_shards_are_named_in_ranges(numbers: tuple[int, ...], text: str) -> None:
    assert ranges(numbers) == text


def test_missing_reports_are_named_with_the_way_out() -> None:
    command = new_command("drain")
    hearing = Hearing(command, 4)
    hearing.take(report(command, 1))
    said = unreported("triage", hearing, 90)
    assert "from 3 of 4 shards within 90 s: 0, 2-3." in said
    assert "stays in effect" in said
    assert "run the same command again" in said


def test_a_pause_may_take_as_long_as_a_run(stack: Stack) -> None:
    spec = stack.plan.agents[0].spec
    assert patience_s(spec, "pause") > spec.limits.run_deadline_ms / 1000
    assert patience_s(spec, "drain") > patience_s(spec, "resume")
