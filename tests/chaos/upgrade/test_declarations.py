"""An agent whose declaration changes, under load: what `preview` says of it happens, and no more."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.upgrade.versions import (
    AGENT,
    UPGRADE_TIMEOUT_S,
    bring_to,
    declared,
    environment,
    latest,
    running,
    version,
)
from tests.pipeline.model import ScriptedModel
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import in_make_chaos_alone
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

RATE = 10
LONG_RUN_MS = 4_000
SECOND = "second"

pytestmark = in_make_chaos_alone("that what a preview says of a declaration's change is what happens")


@pytest.fixture(scope="module", autouse=True)
def loaded(pipeline: Pipeline) -> None:
    pipeline.load.insert(60)
    pipeline.settle()


def brought(pipeline: Pipeline, wanted: LiveStack, said: str) -> None:
    """`preview` says so, and `up` does it under load: a job that goes on, one outcome for each event."""
    preview = wanted.run("preview", timeout_s=UPGRADE_TIMEOUT_S)
    assert not preview.code, preview.output
    assert said in preview.output, preview.output
    with pipeline.load.running(RATE):
        done = wanted.run("up", timeout_s=UPGRADE_TIMEOUT_S)
    assert not done.code, done.output
    assert latest(wanted).outcome == "upgraded"
    pipeline.verify()


def refused(wanted: LiveStack, said: str) -> None:
    """By both, and nothing is changed."""
    before, known = running(wanted), len(list(wanted.files.upgrades(AGENT).glob("*")))
    for command in ("preview", "up"):
        done = wanted.run(command, timeout_s=UPGRADE_TIMEOUT_S)
        assert done.code, done.output
        assert said in done.output, done.output
    assert running(wanted) == before
    assert len(list(wanted.files.upgrades(AGENT).glob("*"))) == known


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"scaling": {"parallelism_min": 2}}, "parallelism (1 -> 2)", id="more subtasks"),
        pytest.param({}, "parallelism (2 -> 1)", id="fewer subtasks"),
        pytest.param({"settings": {"instruction": "Judge this ticket."}}, "settings", id="a prompt"),
        pytest.param({}, "settings", id="the declared prompt again"),
    ],
)
def test_a_field_of_the_agent(pipeline: Pipeline, tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    brought(pipeline, version(pipeline.stack, tmp_path, "Chronicle", **changed), said)


def test_options_of_flink_alone(pipeline: Pipeline, tmp_path: Path) -> None:
    wanted = environment(pipeline.stack, tmp_path, recovery={"max_replay": "6s", "max_outage": "10m"})
    brought(pipeline, wanted, "the job starts with other options of Flink")
    brought(pipeline, pipeline.stack, "the job starts with other options of Flink")


@pytest.mark.parametrize("runs", ["resume", "drain"])
def test_runs_that_take_long_are_in_flight(pipeline: Pipeline, tmp_path: Path, runs: str) -> None:
    """`resume`: the new version ends them. `drain`: the old one does, and no call is cut off."""
    stack, model = pipeline.stack, ScriptedModel(pipeline.stack)
    name = "Reworded" if runs == "resume" else "Chronicle"
    cut_off, began_ms = abandoned(model), round(time.time() * 1000)
    with model.behaving(latency_ms=LONG_RUN_MS), pipeline.load.running(RATE):
        until("runs in flight", lambda: len(model.received(began_ms)) > RATE, 60)
        done = bring_to(stack, tmp_path, name, upgrade={"runs": runs})
    assert not done.code, done.output
    pipeline.verify()

    gap = latest(stack).gap
    assert gap is not None
    if runs == "resume":
        assert gap.wind_down_s is None
        assert abandoned(model) > cut_off
    else:
        assert gap.wind_down_s is not None
        assert abandoned(model) == cut_off


def abandoned(model: ScriptedModel) -> int:
    """Calls whose client left before it had its answer."""
    return sum(call.outcome == "abandoned" for call in model.received())


def test_a_memory_of_another_type_without_a_migration(pipeline: Pipeline, tmp_path: Path) -> None:
    bring_to(pipeline.stack, tmp_path, "Migrating")
    refused(version(pipeline.stack, tmp_path, "Retyped"), "memory.events: what was kept can't be read")


@pytest.fixture
def another_number_of_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a later Headrace might bring: the number is a constant of this one, and of no declaration."""
    folder = tmp_path / "later"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "from contextlib import suppress\n"
        "with suppress(ImportError):\n"
        "    from headrace.plan import slots\n"
        "    slots.SHARDS *= 2\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))
    yield
    shutil.rmtree(folder)


@pytest.mark.usefixtures("another_number_of_shards")
def test_another_number_of_shards(pipeline: Pipeline, tmp_path: Path) -> None:
    wanted = version(pipeline.stack, tmp_path, "Migrating")
    refused(wanted, "a key's shard follows from their number")


def test_an_agent_that_comes_and_goes(pipeline: Pipeline, tmp_path: Path) -> None:
    """Without its word it may not go; the other one runs on."""
    stack = version(pipeline.stack, tmp_path / "one", "Migrating")
    job = stack.job_ids()[AGENT]
    with_second = environment(stack, tmp_path / "two", agents=[*agents(stack), second(stack)])
    assert not with_second.run("up").code
    assert with_second.jobs_running()

    for command in ("preview", "up"):
        done = stack.run(command)
        assert done.code, done.output
        assert f"agents_removed: [{SECOND}]" in done.output, done.output
    assert with_second.jobs_running()

    done = environment(stack, tmp_path / "three", agents_removed=[SECOND]).run("up")
    assert not done.code, done.output
    assert stack.job_ids() == {AGENT: job}
    assert not stack.flink.jobs(SECOND)


def agents(stack: LiveStack) -> list[dict[str, Any]]:
    return list(declared(stack)["agents"])


def second(stack: LiveStack) -> dict[str, Any]:
    (first,) = agents(stack)
    return first | {"name": SECOND}
