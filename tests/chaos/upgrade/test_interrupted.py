"""`headrace up` killed in the midst of each phase of an upgrade: the next one ends well."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from headrace.upgrades.record import Phase
from tests.chaos.upgrade.versions import (
    MAY_FAIL,
    UPGRADE_TIMEOUT_S,
    bring_to,
    latest,
    running,
    upgrades,
    version,
)
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import in_make_chaos_alone
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

RATE = 10
PHASES: tuple[tuple[Phase, str], ...] = (
    ("proving", "MigratedReworded"),
    ("cutting_over", "Migrating"),
    ("watching", "MigratedReworded"),
)


pytestmark = in_make_chaos_alone("that an upgrade that is killed is ended by the next `up`")


@pytest.mark.parametrize(("phase", "name"), PHASES, ids=[phase for phase, _ in PHASES])
def test_an_upgrade_killed_in_a_phase_is_ended_by_the_next_up(
    pipeline: Pipeline, tmp_path: Path, phase: Phase, name: str
) -> None:
    stack = pipeline.stack
    with pipeline.load.running(RATE):
        killed_while(phase, version(stack, tmp_path, name))
        done = bring_to(stack, tmp_path, name)
    assert not done.code, done.output
    assert latest(stack).outcome == "upgraded"
    assert running(stack) == latest(stack).after.digest
    pipeline.verify(may_fail=MAY_FAIL)


def test_a_rollback_that_is_killed_is_ended_by_the_next_up(pipeline: Pipeline, tmp_path: Path) -> None:
    stack = pipeline.stack
    before = running(stack)
    with pipeline.load.running(RATE):
        killed_while("rolling_back", version(stack, tmp_path, "Raising"))
        done = bring_to(stack, tmp_path, "Raising")
    assert done.code
    assert "was undone" in done.output
    assert latest(stack).outcome == "rolled_back"
    assert running(stack) == before
    pipeline.verify(may_fail=MAY_FAIL)


def killed_while(phase: Phase, wanted: LiveStack) -> None:
    """Start an `up` and kill all of it when its upgrade is in that phase."""
    before = len(upgrades(wanted))
    process = wanted.start("up")
    try:
        until(
            f"{phase}",
            lambda: len(upgrades(wanted)) > before and latest(wanted).phase == phase,
            UPGRADE_TIMEOUT_S,
        )
        assert process.poll() is None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
