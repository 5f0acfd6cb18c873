"""`headrace drill`: refused where it can't be done, asked first, and told by its exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import yaml

from headrace.commands import drill
from headrace.environment import CONFIG_KEY
from headrace.operations.drill import Kill
from headrace.operations.recovery_report import Report, Restored
from headrace.operations.stack import Stack
from tests.unit.commands.conftest import run
from tests.unit.environment.declarations import on_aws

GOOD = Report(
    killed="taskmanager",
    objective_s=90.0,
    detection_s=4.0,
    restore_s=11.5,
    catch_up_s=14.0,
    usual_oldest_s=2.4,
    oldest_s=14.0,
    jobs=(Restored("support-triage", 41, 41),),
    missing=(),
)


@dataclass
class Drills:
    """A whole stack that nothing is killed of, and what its drills say."""

    reports: dict[Kill, Report] = field(default_factory=dict)
    killed: list[Kill] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)

    def break_and_watch(self, _stack: Stack, kill: Kill, wait_s: float, say: Callable[[str], None]) -> Report:
        say(f"{kill}: killed")
        self.killed.append(kill)
        self.waits_s.append(wait_s)
        return self.reports.get(kill, replace(GOOD, killed=kill))


@pytest.fixture
def drills(monkeypatch: pytest.MonkeyPatch) -> Drills:
    found = Drills()
    monkeypatch.setattr(drill, "refuse_broken", lambda _: None)
    monkeypatch.setattr(drill, "break_and_watch", found.break_and_watch)
    return found


def test_a_stack_that_does_not_run_is_refused_with_what_is_missing(in_project: Path) -> None:
    declaration = in_project / "stacks" / "Pulumi.local.yaml"
    declaration.write_text(declaration.read_text().replace("port_base: 17000", "port_base: 1100"))
    refused = run("drill", "--yes")
    assert refused.exit_code == 1
    assert "stack local is not whole: the supervisor does not run" in refused.stderr
    assert "Nothing was killed" in refused.stderr
    assert refused.stdout == ""


def test_a_stack_that_is_not_local_is_refused(in_project: Path) -> None:
    document = {"config": {CONFIG_KEY: on_aws()}}
    (in_project / "stacks" / "Pulumi.prod.yaml").write_text(yaml.safe_dump(document))
    refused = run("drill", "--stack", "prod", "--yes")
    assert refused.exit_code == 1
    assert "needs substrate.kind `local`" in refused.stderr


def test_what_can_not_be_killed_is_refused_with_what_can(drills: Drills) -> None:
    refused = run("drill", "--kill", "postgres", "--yes")
    assert refused.exit_code == 2
    assert "'jobmanager', 'taskmanager', 'worker', 'broker', 'storage'" in refused.stderr
    assert drills.killed == []


def test_nothing_is_killed_before_a_yes(drills: Drills) -> None:
    asked = run("drill", "--kill", "broker", answer="n\n")
    assert "Kill broker of stack local" in asked.stderr
    assert (asked.exit_code, drills.killed) == (1, [])
    assert run("drill", "--kill", "broker", "--load", "0", answer="y\n").exit_code == 0
    assert drills.killed == [Kill.BROKER]


def test_without_a_kind_it_is_what_flink_consists_of(drills: Drills) -> None:
    assert run("drill", "--yes", "--load", "0").exit_code == 0
    assert drills.killed == [Kill.WORKER, Kill.TASKMANAGER, Kill.JOBMANAGER]
    assert drills.waits_s == [360.0] * 3


def test_a_table_for_people_says_each_time_and_the_verdict(drills: Drills) -> None:
    done = run("drill", "--kill", "taskmanager", "--yes", "--load", "0", "--timeout", "2m")
    assert "the objective is 90 s" in done.stdout
    for cell in ("4.0", "11.5", "14.0", "met"):
        assert cell in done.stdout
    assert "taskmanager: killed" in done.stderr
    assert drills.waits_s == [120.0]


def test_a_missed_objective_is_an_exit_status_and_the_others_are_drilled_all_the_same(
    drills: Drills,
) -> None:
    drills.reports[Kill.WORKER] = replace(GOOD, killed="worker", catch_up_s=91.0)
    done = run("drill", "--yes", "--load", "0", "--json")
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert said["met"] is False
    assert [each["met"] for each in said["drills"]] == [False, True, True]


def test_what_did_not_come_back_is_said_and_nothing_more_is_killed(drills: Drills) -> None:
    drills.reports[Kill.WORKER] = replace(GOOD, killed="worker", missing=("agent x has 0 jobs",))
    done = run("drill", "--yes", "--load", "0")
    assert done.exit_code == 1
    assert "worker: does not run at the end: agent x has 0 jobs" in done.stderr
    assert drills.killed == [Kill.WORKER]


def test_a_restore_from_an_older_checkpoint_is_said(drills: Drills) -> None:
    older = Restored("support-triage", 41, 39)
    drills.reports[Kill.WORKER] = replace(GOOD, killed="worker", jobs=(older,))
    done = run("drill", "--kill", "worker", "--yes", "--load", "0")
    assert done.exit_code == 1
    assert "support-triage was restored from checkpoint 39; 41 was complete before the kill" in done.stderr


def test_interrupted_it_says_that_the_stack_heals_by_itself(
    drills: Drills, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Report:
        raise KeyboardInterrupt

    monkeypatch.setattr(drill, "break_and_watch", interrupted)
    done = run("drill", "--kill", "worker", "--yes", "--load", "0")
    assert done.exit_code == 130
    assert "comes back by itself" in done.stderr


def test_a_load_without_demo_rows_is_refused(drills: Drills) -> None:
    refused = run("drill", "--yes", "--load", "5")
    assert refused.exit_code == 1
    assert "demo.local.yaml has no rows of a table that an agent reads" in refused.stderr
    assert drills.killed == []
