"""What an erasure does not reach is named, with how long it lives."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from headrace.environment.names import NAME, agent_topics, settings_topic
from headrace.local.snapshots import Snapshot, erasure_folder, periodic_folder, savepoint_folder
from headrace.operations.erasure import remains
from headrace.operations.stack import Stack


def test_every_topic_of_the_agent_that_may_know_a_key_is_named_with_its_retention(stack: Stack) -> None:
    agent = stack.plan.agents[0]
    found = {each.where: each.until for each in remains(stack.plan, agent, [], [])}
    of_keys = {*agent_topics(agent.name)} - {settings_topic(agent.name)}
    assert {*of_keys, *(given.topic for given in agent.spec.inputs)} <= found.keys()
    assert found[agent.spec.outputs.decisions] == "7 days after it was written"
    assert found[agent.spec.outputs.reports] == "1 days after it was written"


def test_snapshots_are_named_with_their_times(stack: Stack) -> None:
    saved = Snapshot(datetime(2026, 1, 1, tzinfo=UTC), True, 0, "s3://savepoints/a/savepoint-1")
    kept = Snapshot(datetime(2026, 1, 2, tzinfo=UTC), False, 4, "s3://checkpoints/a/1/chk-4")
    found = {each.where: each.until for each in remains(stack.plan, stack.plan.agents[0], [saved], [kept])}
    assert "made 2026-01-01 00:00:00 UTC" in found[saved.path]
    assert "made 2026-01-02 00:00:00 UTC" in found[kept.path]


@pytest.mark.parametrize("folder", [erasure_folder("triage"), periodic_folder("triage")])
def test_no_agent_goes_on_from_a_savepoint_that_its_job_went_on_after(folder: str) -> None:
    """Transactions that the job committed after it would be repeated."""
    first = folder.removeprefix("s3://savepoints/").partition("/")[0]
    assert not re.fullmatch(NAME, first)
    assert not folder.startswith(savepoint_folder("triage"))
