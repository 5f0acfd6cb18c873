"""An agent from version to version under load: each event has one outcome, memory is as in a replay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace_testing_agents.replaying import UNREADABLE
from tests.chaos.upgrade.versions import AGENT, MAY_FAIL, bring_to, latest, running, version
from tests.pipeline.plugin import SETTLE_TIMEOUT_S, Pipeline
from tests.pipeline.sizes import in_make_chaos_alone
from tests.pipeline.waiting import until

RATE = 10
OFTEN = 40
ENOUGH = 50
"""Dead letters of a version, for its share to be known."""
NOBODY_ELSES = 50_000
"""A customer that the load has no tickets of."""
EVENTS = 60


def loaded(pipeline: Pipeline) -> None:
    """Enough for a version's conduct to be known."""
    pipeline.load.insert(EVENTS)
    pipeline.settle()


def remembering_what_can_not_be_read(pipeline: Pipeline) -> None:
    """By the version that refuses it; others can."""
    pipeline.load.insert(1, customer=NOBODY_ELSES, body=UNREADABLE)
    pipeline.settle()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param(
            "Reworded",
            "another class decides, with the memory that this one kept",
            id="Reworded",
            marks=in_make_chaos_alone("that other code goes on with its state"),
        ),
        pytest.param(
            "WithField",
            "new, so memories that are there get the defaults",
            id="WithField",
            marks=in_make_chaos_alone("that memories get a new field's default"),
        ),
        pytest.param(
            "Chronicle",
            "removed: what memories hold of it is lost",
            id="Chronicle",
            marks=in_make_chaos_alone("that memories lose a field that is gone"),
        ),
        pytest.param("Migrating", "1 migration, of each memory when it is used", id="Migrating"),
    ],
)
def test_a_version_that_reads_its_state_takes_over(
    pipeline: Pipeline, tmp_path: Path, name: str, said: str
) -> None:
    stack = pipeline.stack
    loaded(pipeline)
    job = stack.job_ids()[AGENT]
    preview = version(stack, tmp_path, name).run("preview")
    assert not preview.code, preview.output
    assert said in preview.output, preview.output
    with pipeline.load.running(RATE):
        done = bring_to(stack, tmp_path, name)
    assert not done.code, done.output

    upgrade = latest(stack)
    assert upgrade.outcome == "upgraded", upgrade.reason
    assert upgrade.gap is not None
    assert upgrade.looks[-1].conduct.events > 0
    assert stack.job_ids()[AGENT] != job
    pipeline.verify()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param("Raising", "became dead letters", id="raises"),
        pytest.param(
            "Costly", "a run costs", id="costs", marks=in_make_chaos_alone("that a dear version is undone")
        ),
        pytest.param(
            "NeverCheckpointing",
            "before it ran|none was decided|no checkpoint completed",
            id="makes no checkpoint",
            marks=in_make_chaos_alone("that a version without checkpoints is undone"),
        ),
    ],
)
def test_a_bad_version_is_undone_by_itself(pipeline: Pipeline, tmp_path: Path, name: str, why: str) -> None:
    stack = pipeline.stack
    loaded(pipeline)
    before = running(stack)
    with pipeline.load.running(RATE):
        done = bring_to(stack, tmp_path, name)
    assert done.code, done.output
    assert re.search(why, done.output), done.output
    assert_undone(pipeline, before)


def assert_undone(pipeline: Pipeline, before: str) -> None:
    """By itself within three minutes; the version that ran before runs, and nothing is lost."""
    upgrade = latest(pipeline.stack)
    assert upgrade.outcome == "rolled_back"
    assert upgrade.ended_at_ms is not None
    assert upgrade.ended_at_ms - upgrade.started_at_ms < 180_000
    assert upgrade.caught_up is not None
    assert not upgrade.caught_up.unreported
    assert not upgrade.caught_up.not_in_memory
    assert running(pipeline.stack) == before
    pipeline.verify(may_fail=MAY_FAIL)


@in_make_chaos_alone("that twice the dead letters are enough")
def test_a_version_with_twice_the_dead_letters_is_undone(pipeline: Pipeline, tmp_path: Path) -> None:
    stack = pipeline.stack
    assert not bring_to(stack, tmp_path, "Doubtful").code
    doubtful = version(stack, tmp_path, "Doubtful")
    doubtful.succeed("agents", "set", AGENT, "doubted=2")
    with pipeline.load.running(OFTEN):
        until("dead letters", lambda: dead_letters(pipeline) > ENOUGH, SETTLE_TIMEOUT_S)
        before = running(stack)
        done = bring_to(stack, tmp_path, "MoreDoubtful")
    assert done.code, done.output
    assert "became dead letters" in done.output
    assert_undone(pipeline, before)


def dead_letters(pipeline: Pipeline) -> int:
    return len(pipeline.ledger.book().agents[AGENT].dead_letters)


def test_a_version_that_cannot_read_a_memory_is_refused_by_its_key(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    stack = pipeline.stack
    remembering_what_can_not_be_read(pipeline)
    job = stack.job_ids()[AGENT]
    done = bring_to(stack, tmp_path, "CannotGoOn")

    assert done.code
    assert "no such label" in done.output
    upgrade = latest(stack)
    assert upgrade.outcome == "refused"
    assert upgrade.proof is not None
    (finding,) = upgrade.proof["failures"]
    assert finding["total"] == 1
    assert finding["examples"][0]["key"] in upgrade.reason
    assert stack.job_ids()[AGENT] == job


@in_make_chaos_alone("that other code is proved after a `down`, too")
def test_after_a_down_a_version_that_cannot_read_a_memory_is_not_started(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    stack = pipeline.stack
    remembering_what_can_not_be_read(pipeline)
    pipeline.ledger.close()
    stack.down()
    refused = bring_to(stack, tmp_path, "CannotGoOn")
    assert refused.code, refused.output
    assert "no such label" in refused.output
    assert not stack.flink.jobs(AGENT)

    started = bring_to(stack, tmp_path, "Migrating")
    assert not started.code, started.output
    pipeline.load.insert(EVENTS)
    pipeline.verify(may_fail=MAY_FAIL)
