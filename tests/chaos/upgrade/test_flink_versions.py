"""Flink's own version, up and back, with the state of an agent: proved by the Flink that goes on with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.upgrade.conftest import DECLARATION
from tests.chaos.upgrade.earlier_flink import EARLIER, checkout_with_earlier_flink
from tests.chaos.upgrade.versions import AGENT, declared, environment
from tests.pipeline.ledger import Ledger
from tests.pipeline.load import Load
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import in_make_chaos_alone
from tests.pipeline.stack import LiveStack

EVENTS = 60

pytestmark = in_make_chaos_alone("that an agent's state goes with Flink's versions, up and back")


@pytest.fixture
def declaration(tmp_path: Path) -> Path:
    """Of a stack whose data is in no checkout."""
    shared = LiveStack(DECLARATION)
    substrate = declared(shared)["substrate"] | {"data_dir": str(tmp_path / "data")}
    return environment(shared, tmp_path, substrate=substrate).declaration


@pytest.fixture
def earlier(declaration: Path, tmp_path: Path) -> Iterator[LiveStack]:
    stack = LiveStack(declaration, checkout_with_earlier_flink(tmp_path / "checkout"))
    try:
        stack.up()
        yield stack
    finally:
        stack.clean()


def test_a_job_goes_on_with_a_later_flink_and_with_the_earlier_one_again(
    earlier: LiveStack, declaration: Path
) -> None:
    now = LiveStack(declaration)
    pipeline = Pipeline(now, Load(now.database, customers=40), Ledger(now))
    try:
        pipeline.load.insert(EVENTS)
        pipeline.settle()
        assert flink(earlier) == EARLIER

        # All agents share the cluster: while it runs, nothing is changed.
        job = now.job_ids()
        refused = now.run("up")
        assert refused.code, refused.output
        assert "headrace down" in refused.output
        assert now.job_ids() == job

        for stack in (now, earlier):
            pipeline.load.insert(EVENTS)  # may be undecided at the moment of the savepoint
            pipeline.ledger.close()
            stack.down()
            said = stack.up()
            assert f"agent {AGENT}: proving the new version on" in said
            assert (flink(stack) == EARLIER) == (stack is earlier)
            pipeline.load.insert(EVENTS)
            pipeline.verify()
    finally:
        pipeline.load.close()
        pipeline.ledger.close()


def flink(stack: LiveStack) -> str:
    return str(stack.rest(stack.flink.endpoint, "/overview")["flink-version"])
