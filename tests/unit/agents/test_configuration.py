"""Settings that change while an agent runs: from the next run on, over crashes, or not at all."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from headrace_agents import Agent, Change, Context, codec, on
from headrace_agents.agent import SettingsError, prepare
from headrace_agents.codec import SettingsVersion
from headrace_agents.configuration import Configurations, canonical, merged
from headrace_agents.control import Command, SettingsChange, control_key
from headrace_agents.prompts import beside, takes
from headrace_agents.records import InputRecord, Position
from headrace_agents.testing import AgentTest
from tests.unit.agents.worlds import TABLE, Thing, World, created


class Seen(BaseModel):
    things: int = 0


class Limits(BaseModel):
    most: int = 1
    least: int = 0


class Tuned(BaseModel):
    model_config = ConfigDict(extra="forbid")

    greeting: Annotated[str, takes("thing")] = "hello {thing}"
    limits: Limits = Limits()


class Said(BaseModel):
    text: str
    most: int


class Greeter(Agent[Seen, Said, Tuned]):
    @on(TABLE)
    async def seen(self, ctx: Context[Seen, Said], change: Change[Thing]) -> None:
        await ctx.step("look", str)
        settings = self.settings
        ctx.emit(Said(text=settings.greeting.format(thing=change.row.id), most=settings.limits.most))


def said(world: World) -> list[tuple[str, int]]:
    return [(each.decision["text"], each.settings_version) for each in world.decisions()]


def configure(world: World, version: int, patch: dict[str, Any]) -> list[str]:
    """Returns what was wrong."""
    before = len(world.reports())
    change = SettingsChange(version=version, patch=patch)
    command = Command(id=str(version), kind="configure", settings=change)
    position = Position(world.spec.feedback.control, 0, version)
    world.put_in(InputRecord(position, world.clock.now_ms, control_key(0), command.encode()))
    return [problem.reason for report in world.reports()[before:] for problem in report.problems]


def greeters(*things: int, **more: Any) -> World:
    return World([created(thing, thing) for thing in things], agent_class=Greeter, **more)


def test_runs_that_start_afterwards_have_it_and_decisions_say_which() -> None:
    agent = AgentTest(Greeter, key=("key",), settings={"greeting": "hi {thing}"})

    def say(thing: int) -> tuple[str, int]:
        handled = agent.create(TABLE, {"id": thing, "key": 1})
        (decision,) = handled.decisions
        assert isinstance(decision, Said)
        return decision.text, decision.most

    assert say(1) == ("hi 1", 1)
    agent.configure(greeting="bye {thing}")
    assert say(2) == ("bye 2", 1)
    agent.configure(limits={"most": 7})
    assert say(3) == ("bye 3", 7)
    agent.configure(greeting=None)
    assert say(4) == ("hi 4", 7)


def test_a_run_under_way_ends_as_it_began() -> None:
    world = greeters(1, 2)
    world.take()
    world.take()
    assert configure(world, 1, {"greeting": "bye {thing}"}) == []
    world.finish()

    assert sorted(said(world)) == [("hello 1", 0), ("hello 2", 0)]


def test_it_outlives_a_crash() -> None:
    world = greeters(1)
    world.checkpoint()
    assert configure(world, 1, {"greeting": "bye {thing}"}) == []
    world.checkpoint()
    world.crash()
    world.finish()

    assert said(world) == [("bye 1", 1)]


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ({"greeting": "bye {nobody}"}, "{nobody}"),
        ({"greting": "bye"}, "greting"),
        ({"limits": {"most": "many"}}, "limits.most"),
    ],
)
def test_what_the_class_does_not_take_changes_nothing_and_is_told(patch: dict[str, Any], why: str) -> None:
    world = greeters(1)
    (reason,) = configure(world, 1, patch)
    assert why in reason
    assert codec.SETTINGS_KEY not in world.durable.state
    world.finish()
    assert said(world) == [("hello 1", 0)]


def test_an_earlier_version_is_refused_and_the_same_again_does_no_harm() -> None:
    world = greeters(1)
    assert configure(world, 5, {"greeting": "five"}) == []
    assert configure(world, 5, {"greeting": "five"}) == []
    assert "has version 5 already" in configure(world, 5, {"greeting": "other"})[0]
    assert "has version 5 already" in configure(world, 4, {"greeting": "four"})[0]
    world.finish()
    assert said(world) == [("five", 5)]


def test_what_other_code_does_not_take_is_left_aside_and_shown() -> None:
    world = greeters(1)
    left = SettingsVersion(3, canonical({"gone": 1}))
    world.durable.state[codec.SETTINGS_KEY] = codec.encode_settings(left)
    world.checkpoint()
    world.crash()
    world.finish()

    assert said(world) == [("hello 1", 0)]
    assert world.operator.figures.settings_refused == 1
    assert codec.decode_settings(world.durable.state[codec.SETTINGS_KEY]) == left


def test_a_command_needs_what_it_is_about() -> None:
    with pytest.raises(ValidationError, match="needs settings"):
        Command(id="1", kind="configure")
    with pytest.raises(ValidationError, match="takes no settings"):
        Command(id="1", kind="pause", settings=SettingsChange(version=1, patch={}))


def test_instances_are_made_once_and_few_are_kept() -> None:
    made: list[str] = []

    class Kept(Agent[Seen, Said, Tuned]):
        seen = Greeter.seen

        def __init__(self, settings: Tuned) -> None:
            super().__init__(settings)
            made.append(settings.greeting)

    configurations = Configurations(prepare(Kept, {}))
    for _ in range(3):
        configurations.instance(canonical({"greeting": "a"}))
    assert made == ["hello {thing}", "a"]
    for number in range(100):
        configurations.instance(canonical({"greeting": str(number)}))
    assert len(configurations._instances) < 20


def test_a_constructor_that_raises_is_a_refusal() -> None:
    class Picky(Agent[Seen, Said, Tuned]):
        seen = Greeter.seen

        def __init__(self, settings: Tuned) -> None:
            super().__init__(settings)
            if settings.greeting == "no":
                raise RuntimeError("not that one")

    with pytest.raises(SettingsError, match="not that one"):
        Configurations(prepare(Picky, {})).instance(canonical({"greeting": "no"}))


JSON = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from("ab"),
    lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("xyz"), JSON, max_size=3)


@given(OBJECTS, OBJECTS)
def test_patches_are_merged_as_the_standard_has_it(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """The pseudo-code of RFC 7386, section 2, beside ours."""

    def merge_patch(target: Any, patch: Any) -> Any:
        if not isinstance(patch, dict):
            return patch
        result = dict(target) if isinstance(target, dict) else {}
        for name, value in patch.items():
            if value is None:
                result.pop(name, None)
            else:
                result[name] = merge_patch(result.get(name), value)
        return result

    before = json.dumps(target)
    assert merged(target, patch) == merge_patch(target, patch)
    assert json.dumps(target) == before


@pytest.mark.parametrize("template", ["{a}", "{b} and {a}", "none", "{{braces}}"])
def test_a_template_has_the_fields_that_it_may_have(template: str) -> None:
    assert TypeAdapter(Annotated[str, takes("a", "b")]).validate_python(template) == template


@pytest.mark.parametrize("template", ["{c}", "{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{}", "{0}", "{a", "a}"])
def test_any_other_template_is_refused_with_what_is_allowed(template: str) -> None:
    with pytest.raises(ValidationError, match=r"allowed: \{a\}, \{b\}"):
        TypeAdapter(Annotated[str, takes("a", "b")]).validate_python(template)


def test_prompts_beside_a_module_are_read_without_the_end_of_their_last_line(tmp_path: Any) -> None:
    (tmp_path / "task.txt").write_text("one\ntwo\n")
    assert beside(str(tmp_path / "agent.py"), "task.txt") == "one\ntwo"
