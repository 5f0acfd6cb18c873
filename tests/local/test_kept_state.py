"""What a running stack keeps of its agents: periodic savepoints, what they hold, and cleaning under load."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.pipeline.plugin import Pipeline
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until
from tests.snapshots.bucket import DAY_S, Bucket

AGENT, OTHER = "support-triage", "support-triage-vip"
PROCESS = "periodic-savepoints"
PERIODIC = "periodic savepoint"
TIMEOUT_S = 120
ATTEMPTS = 5


def store(stack: LiveStack) -> Path:
    return stack.files.data("object-store")


def periodic(stack: LiveStack) -> dict[str, dict[str, Any]]:
    """The newest of each agent."""
    found = stack.json("state", "list")
    return {each["agent"]: each for each in reversed(found) if each["kind"] == PERIODIC}


def forget(stack: LiveStack, agent: str) -> None:
    """Make the agent's periodic savepoints incomplete: where it has none, one is due."""
    for path in (store(stack) / "savepoints" / "_periodic" / agent).glob("*/_metadata"):
        path.unlink()


def test_a_killed_process_makes_what_is_due_and_nothing_else(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    until("savepoints", lambda: periodic(stack).keys() == set(stack.agents), TIMEOUT_S)
    before = periodic(stack)
    os.kill(stack.processes()[PROCESS], signal.SIGKILL)
    forget(stack, OTHER)
    until("the one that is due", lambda: OTHER in periodic(stack), TIMEOUT_S)
    made = [each["path"] for each in stack.json("state", "list") if each["kind"] == PERIODIC]
    assert sorted(made) == sorted([before[AGENT]["path"], periodic(stack)[OTHER]["path"]])
    assert periodic(stack)[OTHER]["path"] != before[OTHER]["path"]


def test_a_savepoint_says_how_many_keys_it_holds_and_in_which_version(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    pipeline.load.insert(60)
    pipeline.settle()
    memories = stack.json("agents", "check", AGENT)["counts"]["memory"]
    forget(stack, AGENT)
    until("the next savepoint", lambda: AGENT in periodic(stack), TIMEOUT_S)
    said = stack.json("state", "describe", AGENT, "--snapshot", periodic(stack)[AGENT]["path"])
    assert memories > 20
    assert said["agent_state"]["entries"]["memories"] == memories
    assert said["agent_state"]["memory_versions"] == {"1": memories}
    assert said["agent_state"]["unreadable"] == 0
    (agent,) = [each for each in said["operators"] if each["uid"] == "agent"]
    assert agent["key_groups"] == agent["max_parallelism"] == 720
    assert "python-state-shard" in {each["state"] for each in agent["states"]}
    assert agent["bytes"] > 60 * memories


def test_what_up_goes_on_from_is_a_checkpoint_of_the_running_job_with_the_same_keys(
    pipeline: Pipeline,
) -> None:
    stack = pipeline.stack
    memories = stack.json("agents", "check", AGENT)["counts"]["memory"]
    said = stack.json("state", "describe", AGENT)
    assert (said["kind"], said["job"]) == ("checkpoint", stack.job_ids()[AGENT])
    assert said["goes_on_from"]
    assert said["agent_state"]["entries"]["memories"] == memories > 20
    assert said["agent_state"]["memory_versions"] == {"1": memories}
    unread = stack.json("state", "describe", AGENT, "--no-keys")
    assert (unread["agent_state"], unread["not_read"]) == (None, "they were not asked for")


def ended_jobs_checkpoint(stack: LiveStack, strays: Bucket) -> str:
    """One of the running job's, as if an earlier job had left it; returns the path of its metadata."""
    path = f"s3://checkpoints/{AGENT}/{0:032x}/chk-7/_metadata"
    strays.object(path)
    for _ in range(ATTEMPTS):  # the job drops its checkpoints within seconds
        of_job = (store(stack) / "checkpoints" / AGENT / stack.job_ids()[AGENT]).glob("chk-*/_metadata")
        with suppress(FileNotFoundError):
            shutil.copyfile(max(of_job), strays.data / path.removeprefix("s3://"))
            break
    strays.age(path, DAY_S)
    return path


def test_cleaning_under_load_takes_orphans_and_a_killed_job_comes_back(pipeline: Pipeline) -> None:
    stack, load = pipeline.stack, pipeline.load
    load.insert(40)
    strays = Bucket(store(stack))
    job = stack.job_ids()[AGENT]
    orphans = {
        strays.object(f"s3://checkpoints/{AGENT}/{job}/shared/{strays.name()}"),
        strays.object(f"s3://checkpoints/{AGENT}/{job}/chk-1/{strays.name()}"),
        strays.object(f"s3://savepoints/{AGENT}/savepoint-abcdef-0123456789ab/{strays.name()}"),
    }
    load.insert(40)
    said = stack.json("state", "clean", "--yes")
    # Tests before this one may have left some: exactly which go is held to in test_state_cleaning.py.
    assert {each["path"] for each in said["orphans"]} >= orphans
    assert not any((store(stack) / path.removeprefix("s3://")).exists() for path in orphans)
    past = ended_jobs_checkpoint(stack, strays)
    said = stack.json("state", "clean", "--history", "--yes")
    why = {each["path"]: each["why"] for each in said["orphans"]}
    assert why[past] == f"its job has ended, and a later job of {AGENT} has checkpoints"
    os.kill(stack.processes()["taskmanager-1"], signal.SIGKILL)
    load.insert(40)
    pipeline.verify()
