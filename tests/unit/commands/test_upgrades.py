"""`headrace upgrades`: what was written down of upgrades, shown; and how an interrupted one is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.operations.stack import Stack
from headrace.upgrades.gate import Look
from headrace.upgrades.record import Cutover, FolderHistory, Gap, Upgrade, Version, new_id
from headrace_agents.upgrades.conduct import Conduct
from headrace_agents.upgrades.told import CaughtUp
from tests.unit.commands.conftest import run

AGENT = "support-triage"
DAY_MS = 86_400_000


def version(digest: str) -> Version:
    return Version(digest=digest, code=f"code of {digest}", inputs={"spec": {"name": AGENT}})


def upgrade(day: int, **changed: object) -> Upgrade:
    at_ms = 1_795_824_000_000 + day * DAY_MS
    made = Upgrade(
        id=new_id(AGENT, at_ms),
        agent=AGENT,
        by="mia",
        started_at_ms=at_ms,
        before=version("old"),
        after=version("new"),
    )
    return made.model_copy(update=changed)


ROLLED_BACK = {
    "phase": "ended",
    "outcome": "rolled_back",
    "reason": "150 of 153 events became dead letters",
    "ended_at_ms": 1_795_824_094_000,
    "cutover": Cutover(snapshot="s3://savepoints/a", outcomes={0: 1}, runs={0: 1}, at_ms=1),
    "gap": Gap(stop_s=0.5, submit_s=3.3, start_s=9.4),
    "looks": (
        Look(
            seconds=2,
            checkpoints=1,
            since_checkpoint_s=1,
            failures=0,
            backlog=31,
            conduct=Conduct(events=153, dead_letters=150),
        ),
    ),
    "caught_up": CaughtUp(
        decided=153, dead_lettered=150, in_memory=2, not_in_memory=("tickets/0/7: no step",), unreported=0
    ),
}


@pytest.fixture
def history(in_project: Path) -> FolderHistory:
    return FolderHistory(Stack.find("local", None).files.upgrades(AGENT))


def test_without_any_it_says_so() -> None:
    assert "no agent was upgraded yet" in run("upgrades", "list").output
    refused = run("upgrades", "show", AGENT)
    assert refused.exit_code == 1
    assert "no upgrade support-triage; the newest: none was made yet" in refused.output


def test_the_newest_stands_first_and_an_agents_name_shows_its_newest(history: FolderHistory) -> None:
    first, second = upgrade(0, **ROLLED_BACK), upgrade(1, phase="ended", outcome="upgraded")
    history.write(first)
    history.write(second)
    listed = json.loads(run("upgrades", "list", "--json").output)
    assert [each["id"] for each in listed] == [second.id, first.id]
    assert "inputs" not in listed[0]["before"]
    assert second.id in run("upgrades", "show", AGENT).output


def test_what_was_undone_is_shown_with_the_gap_the_gate_and_each_event(history: FolderHistory) -> None:
    history.write(upgrade(0, **ROLLED_BACK))
    shown = run("upgrades", "show", AGENT).output
    for said in (
        "rolled back",
        "13.2 s: stop 0.5, submit 3.3, start 9.4",
        "98.04%, before 0.00%",
        "153 events were decided by the undone version, 150 of them dead letters; 2 are in memory",
        "tickets/0/7: no step",
    ):
        assert said in shown, said


def test_the_newest_without_an_end_is_the_one_that_was_interrupted(history: FolderHistory) -> None:
    assert history.unfinished() is None
    history.write(upgrade(0))
    assert history.unfinished() is not None
    history.write(upgrade(1, phase="watching"))
    found = history.unfinished()
    assert found is not None
    assert found.phase == "watching"
    history.write(upgrade(1, phase="ended", outcome="upgraded"))
    assert history.unfinished() is None
