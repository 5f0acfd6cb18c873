"""What `up` and `preview` refuse of agents' new versions before the engine starts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.local.agent import complete
from headrace.local.agent_jobs.inputs import MANIFEST, SPEC, folder_name
from headrace.local.provider.agent_job import AgentJobKind
from headrace.operations.engine import Engine
from headrace.operations.stack import Stack
from headrace.operations.upgrades import refuse_upgrades
from headrace_agents.describing import manifest_of


def remembered(stack: Stack, monkeypatch: pytest.MonkeyPatch, *jobs: dict[str, Any]) -> None:
    """What the engine has in its state."""
    resources = [{"type": AgentJobKind.token, "outputs": job} for job in jobs]
    state = {"deployment": {"resources": [{"type": "pulumi:pulumi:Stack"}, *resources]}}
    monkeypatch.setattr(Engine, "export", lambda _: state)


def running(stack: Stack, at: int = 0, **other: Any) -> dict[str, Any]:
    agent = stack.plan.agents[at]
    spec = complete(agent, stack.files).model_copy(update=other)
    return {"spec": spec.model_dump(mode="json"), "manifest": manifest_of(spec.entry_point).canonical()}


def test_a_first_up_is_judged_by_nothing(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered(stack, monkeypatch)
    assert refuse_upgrades(stack) == []
    monkeypatch.setattr(Engine, "export", lambda _: {})
    assert refuse_upgrades(stack) == []


def test_what_the_engine_remembers_it_tells_itself(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered(stack, monkeypatch, running(stack, parallelism=2), running(stack, 1))
    assert refuse_upgrades(stack) == []


def test_everything_that_is_refused_is_said_at_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = running(stack)
    gone["spec"]["name"] = "gone"
    remembered(stack, monkeypatch, gone, running(stack, shards=64), running(stack, 1, max_parallelism=64))
    with pytest.raises(HeadraceError) as refused:
        refuse_upgrades(stack)
    said = str(refused.value)
    assert "`agents_removed: [gone]`" in said
    assert "shards (64 -> 128)" in said
    assert "max_parallelism (64 -> " in said


def test_after_a_down_what_was_submitted_last_is_judged(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered(stack, monkeypatch)
    folder = stack.files.etc(folder_name("support-triage"))
    folder.mkdir(parents=True)
    submitted = running(stack, parallelism=2)
    (folder / SPEC).write_text(json.dumps(submitted["spec"]))
    (folder / MANIFEST).write_text(submitted["manifest"])
    (said,) = refuse_upgrades(stack)
    assert "parallelism (2 -> 1)" in said

    (folder / SPEC).write_text(json.dumps(running(stack, shards=64)["spec"]))
    with pytest.raises(HeadraceError, match=r"shards \(64 -> 128\)"):
        refuse_upgrades(stack)


def test_what_another_headrace_specified_is_not_judged(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    other = running(stack)
    other["spec"]["of_another"] = 1
    assert "is not judged" in AgentJobKind().foretold(other, running(stack))
