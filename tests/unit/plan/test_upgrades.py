"""What a preview says that a change of an agent leads to, from what is known of both versions."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from headrace.environment import load_environment
from headrace.plan import plan
from headrace.plan.upgrades import AgentVersion, Judgement, judge
from headrace_agents.manifest import Manifest, MemoryShape, Steps
from headrace_agents.operators import OPERATORS, Operator
from headrace_agents.shapes import shape_of
from headrace_agents.spec import AgentJobSpec
from tests.unit.environment.declarations import SHIPPED


class Memory(BaseModel):
    seen: int = 0
    verdict: str | None = None


class More(Memory):
    level: int = 3


class Less(BaseModel):
    seen: int = 0


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seen: int = 0


class Texts(BaseModel):
    seen: str = ""
    verdict: str | None = None


class Wider(BaseModel):
    seen: float = 0
    verdict: str | int | None = None


class Due(BaseModel):
    order: int


class DueText(BaseModel):
    order: str


class Settings(BaseModel):
    most: int = 3


SPEC = plan(load_environment(SHIPPED)).agents[0].spec.model_copy(update={"code": "c1"})


def manifest(
    memory: type[BaseModel] = Memory, version: int = 1, migrates: tuple[int, ...] = (), **other: Any
) -> Manifest:
    return Manifest(
        **{
            "entry_point": SPEC.entry_point,
            "runtime_version": "1",
            "flink_version": "2.2.1",
            "state_format": 1,
            "operators": OPERATORS,
            "memory": MemoryShape(version=version, migrates_from=migrates, shape=shape_of(memory)),
            "reminders": (),
            "answers": None,
            "decisions": (),
            "settings": shape_of(Settings),
            "prompts": {"task": "t1"},
            "steps": Steps(names=("model",), dynamic=False),
            "code": "c1",
            "python_code": "p1",
        }
        | other
    )


def version(known: Manifest | None = None, **spec: Any) -> AgentVersion:
    return AgentVersion(SPEC.model_copy(update=spec), known or manifest())


def after(
    memory: type[BaseModel] = Memory, version: int = 1, migrates: tuple[int, ...] = (), **other: Any
) -> AgentVersion:
    """A version with other code."""
    changed = manifest(memory, version, migrates, **{"code": "c2", "python_code": "p2"} | other)
    return AgentVersion(SPEC.model_copy(update={"code": changed.code}), changed)


def judged(new: AgentVersion, old: AgentVersion | None = None) -> Judgement:
    return judge(old or version(), new)


def test_the_same_is_nothing() -> None:
    assert judged(version()).kind == "nothing"


def test_another_image_of_the_same_code_is_a_restart_that_says_so() -> None:
    """On AWS `code` is the image's digest, and a manifest's is that of the code."""
    (reason,) = judged(version(code="i2"), version(code="i1")).reasons
    assert reason.changed == "image"


def test_another_manifest_of_a_job_that_is_the_same_changes_nothing() -> None:
    assert judged(version(manifest(Texts))).kind == "nothing"


def test_a_flink_that_was_not_written_down_is_no_other_one() -> None:
    assert judged(version(manifest(flink_version="2.3.0")), version(manifest(flink_version=""))).kind == (
        "nothing"
    )


RESTARTS = {
    "code only": (after(), "code (p1 -> p2): runs in flight go on with it"),
    "a new field with a default": (after(More), "level): new, so memories that are there get the defaults"),
    "a wider type": (after(Wider), "code (p1 -> p2)"),
    "a removed field": (after(Less), "memory (verdict -> ): removed: what memories hold of it is lost"),
    "a migration": (
        after(Texts, 2, (1,)),
        "of each memory when it is used; whether they take all, only reading the real state tells",
    ),
    "two migrations": (after(Texts, 3, (1, 2)), "2 migrations"),
    "prompts only": (
        after(prompts={"task": "t2"}, python_code="p1"),
        "task: runs in flight do those steps again whose input is another, with the same idempotency keys",
    ),
    "parallelism": (version(parallelism=2), "parallelism (1 -> 2): shards are divided among other subtasks"),
    "options of Flink": (
        version(flink_configuration={**SPEC.flink_configuration, "a.b": "1"}),
        "flink_configuration: a.b: the job starts with other options of Flink",
    ),
    "settings": (
        version(settings={"most": 4}),
        "settings: most: a setting that the declaration changes restarts",
    ),
    "a later format of state": (after(state_format=2), "the runtime before this one can't read that"),
    "a reminder less": (after(), "code"),
    "other steps": (after(steps=Steps(names=("hold",), dynamic=False)), "steps (model -> hold)"),
    "another runtime": (after(runtime_version="2"), "runtime (1 -> 2)"),
    "a later Flink": (
        version(manifest(flink_version="2.3.0")),
        "Flink (2.2.1 -> 2.3.0): it goes on from a savepoint of the earlier one",
    ),
    "an earlier Flink": (
        version(manifest(flink_version="2.1.0")),
        "Flink (2.2.1 -> 2.1.0): Flink promises no way from the savepoint of a later one",
    ),
    "another major Flink": (version(manifest(flink_version="3.0.0")), "or over a major version"),
    "a decision more": (after(decisions=(shape_of(Due),)), "decisions: Due: readers of the topic"),
}


@pytest.mark.parametrize("change", RESTARTS)
def test_it_restarts_with_its_state_and_says_why(change: str) -> None:
    new, said = RESTARTS[change]
    judgement = judged(new)
    assert judgement.kind == "restart_with_state", judgement.text
    assert judgement.text.startswith(
        "agent support-triage is stopped with a savepoint, and goes on from it with its state\n  - "
    )
    assert said in judgement.text


REFUSED = {
    "another type": (
        after(Texts),
        "memory.seen: what was kept can't be read: integer was written, string is read. Raise",
    ),
    "a removed field that is forbidden": (
        after(Strict),
        "memory.verdict: what was kept can't be read: it is gone",
    ),
    "a gap in the migrations": (
        after(Texts, 3, (2,)),
        "memory (version 1 -> version 3): no migration starts from version 1. Add `@migrates(1)`",
    ),
    "a renamed operator": (
        after(operators=(*OPERATORS[:1], Operator(uid="brain", states=("shard",)), *OPERATORS[2:])),
        "find no place; new are brain: was it renamed?. Give the operator its id again: uid",
    ),
    "a renamed state": (
        after(operators=(*OPERATORS[:1], Operator(uid="agent", states=("keys",)), *OPERATORS[2:])),
        "states of operator agent (shard -> none)",
    ),
    "shards": (version(shards=256), "shards (128 -> 256): state is kept per shard"),
    "max_parallelism": (version(max_parallelism=64), "max_parallelism"),
    "the key": (version(key=("id",)), "key (customer_id -> id): memory is kept by the key's values"),
    "an earlier format of state": (after(state_format=0), "format of state (1 -> 0)"),
}


@pytest.mark.parametrize("change", REFUSED)
def test_it_is_refused_with_the_way_out(change: str) -> None:
    new, said = REFUSED[change]
    judgement = judged(new)
    assert judgement.kind == "refused", judgement.text
    first, reason, *_ = judgement.text.splitlines()
    assert first == "agent support-triage can't go on with its state, so this is refused"
    assert said in reason


def test_an_earlier_version_of_memory_is_refused() -> None:
    judgement = judged(after(Memory, 1), version(manifest(Memory, 3, (1, 2))))
    assert judgement.kind == "refused"
    assert "memory (version 3 -> version 1)" in judgement.text
    assert "Set memory_version to 3 or more" in judgement.text


def test_migrations_that_are_dropped_are_told_of() -> None:
    judgement = judged(after(Memory, 2, ()), version(manifest(Memory, 2, (1,))))
    assert judgement.kind == "restart_with_state"
    assert "memories of version 1 could not be read any more" in judgement.text


def test_reminders_that_nobody_takes_are_told_of() -> None:
    old = version(manifest(reminders=(shape_of(Due),)))
    gone = judged(after(reminders=()), old)
    assert "reminders (Due -> none): those that are still to come become dead letters" in gone.text
    other = shape_of(DueText).model_copy(update={"name": "Due"})
    assert (
        "those that are still to come become dead letters: order: integer"
        in judged(after(reminders=(other,)), old).text
    )


def test_without_a_manifest_the_declaration_alone_is_judged() -> None:
    old = AgentVersion(SPEC, None)
    judgement = judged(after(Texts), old)
    assert judgement.kind == "restart_with_state"
    assert "the running version has no manifest, so it is judged by its declaration alone" in judgement.text
    assert judged(version(shards=256), old).kind == "refused"


def test_a_manifest_of_another_headrace_is_none() -> None:
    spec = SPEC.model_dump(mode="json")
    assert AgentVersion.read(spec, '{"of": "another"}').manifest is None
    assert AgentVersion.read(spec, manifest().canonical()).manifest == manifest()


def test_another_name_is_another_agent() -> None:
    with pytest.raises(ValueError, match="order-risk is another agent than support-triage"):
        judge(AgentVersion(SPEC.model_copy(update={"name": "order-risk"}), None), version())


def test_every_field_of_the_specification_that_changes_is_told() -> None:
    assert isinstance(SPEC, AgentJobSpec)
    other = SPEC.model_copy(update={"limits": SPEC.limits.model_copy(update={"run_deadline_ms": 1})})
    assert "limits: the job starts with what is declared now" in judged(AgentVersion(other, manifest())).text
