"""Rehearsals: the same runs as live ones, of which nothing leaves the process but questions to the model."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic import BaseModel

from headrace_agents import Agent, Change, Context, on, rehearsal
from headrace_agents.agent import prepare
from headrace_agents.chat import ChatRequest, Completion, ToolCall, Usage
from headrace_agents.model.connecting import ModelState
from headrace_agents.model.tokens import Estimate
from headrace_agents.model.turns import USED_SHARE
from headrace_agents.records import InputRecord, Position
from headrace_agents.rehearsal import Rehearsal
from headrace_agents.rehearsal_job import Event, Job, Rehearsed
from headrace_agents.spec import ModelSpec
from headrace_agents.testing import DEFAULT_LIMITS, in_memory_spec

TABLE = "public.things"
EFFECTS: list[str] = []


class Thing(BaseModel):
    id: int
    key: int
    do: str = ""


class Seen(BaseModel):
    things: list[int] = []


class Said(BaseModel):
    text: str
    things: list[int]


class Mood(BaseModel):
    greeting: str = "hello"


def effect(what: str) -> str:
    EFFECTS.append(what)
    return what


class Actor(Agent[Seen, Said, Mood]):
    @on(TABLE)
    async def seen(self, ctx: Context[Seen, Said], change: Change[Thing]) -> None:
        thing = change.row
        ctx.memory.things.append(thing.id)
        if thing.do == "step":
            assert await ctx.step("pay", effect, "paid") == "rehearsed"
        if thing.do == "unknown":
            await ctx.step("post", effect, "posted")
        if thing.do == "swallow":
            await asyncio.gather(ctx.step("post", effect, "posted"), return_exceptions=True)
        if thing.do == "named":
            await ctx.step("pay", effect, what="by name")
        if thing.do == "fail":
            raise RuntimeError("as told")
        tools = [self.look] if thing.do == "tool" else []
        reply = await ctx.model(f"{self.settings.greeting} {thing.id}", tools=tools)
        ctx.emit(Said(text=reply.content, things=list(ctx.memory.things)))

    async def look(self) -> str:
        """Looks."""
        return effect("looked")

    async def rehearse(self, step: str, arguments: list[Any], options: dict[str, Any]) -> str:
        if step != "pay":
            raise NotImplementedError(step)
        assert (arguments, options) in ((["paid"], {}), ([], {"what": "by name"}))
        return "rehearsed"


class Model:
    """Says what it was asked; calls each tool once."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def complete(self, request: ChatRequest) -> Completion:
        self.keys.append(request.idempotency_key)
        if request.tools and request.messages[-1].role != "tool":
            return Completion(None, (ToolCall("1", "look", "{}"),), Usage(1, 1))
        return Completion(request.messages[0].content, usage=Usage(3, 2))

    async def close(self) -> None: ...


def event(offset: int, number: int, do: str = "") -> Event:
    source = {"schema": "public", "table": "things", "ts_ms": 5}
    row = {"id": offset, "key": number, "do": do}
    value = json.dumps({"before": None, "after": row, "source": source, "op": "c"}).encode()
    key = json.dumps({"key": number}).encode()
    return Event.of(InputRecord(Position(TABLE, 0, offset), offset, key, value))


@pytest.fixture(autouse=True)
def no_effects() -> None:
    EFFECTS.clear()


def rehearse(*events: Event, model: Model | None = None, **job: Any) -> list[Rehearsed]:
    """In the order of the events."""
    agent = prepare(Actor, {})
    spec = in_memory_spec(agent, ("key",), DEFAULT_LIMITS, "none")
    found: list[Rehearsed] = []
    made = Rehearsal(Job(spec=spec, events=events, **job), agent)
    asyncio.run(made.run(found.append, model or Model(), at_once=3))
    return sorted(found, key=lambda one: one.offset)


def texts(found: list[Rehearsed]) -> list[str]:
    return [decided.decision["text"] for one in found for decided in one.decisions]


def test_each_keys_events_run_in_their_order_over_its_own_memory() -> None:
    found = rehearse(event(0, 1), event(1, 2), event(2, 1))
    assert [one.decisions[0].decision["things"] for one in found] == [[0], [1], [0, 2]]
    assert {one.status for one in found} == {"decided"}


def test_another_prompt_is_a_patch_over_the_settings() -> None:
    assert texts(rehearse(event(0, 1))) == ["hello 0"]
    assert texts(rehearse(event(0, 1), patch={"greeting": "bye"})) == ["bye 0"]


def test_a_step_is_never_made_and_the_agent_says_what_it_would_have_given() -> None:
    for do in ("step", "named"):
        (one,) = rehearse(event(0, 1, do))
        assert (one.status, one.detail, EFFECTS) == ("decided", "", [])


@pytest.mark.parametrize("do", ["unknown", "swallow"])
def test_a_run_is_cut_off_where_nobody_says_it_and_its_memory_stays(do: str) -> None:
    cut, after = rehearse(event(0, 1, do), event(1, 1))
    assert (cut.status, cut.detail, EFFECTS) == ("cut_off", "post", [])
    assert after.decisions[0].decision["things"] == [1]


def test_tools_are_called_where_it_is_said_that_they_may_be() -> None:
    (cut,) = rehearse(event(0, 1, "tool"))
    assert (cut.status, cut.detail, EFFECTS) == ("cut_off", "tool:look", [])
    (called,) = rehearse(event(0, 1, "tool"), run_tools=True)
    assert (called.status, EFFECTS) == ("decided", ["looked"])


def test_what_fails_is_a_dead_letter_here_too() -> None:
    failed, malformed = rehearse(
        event(0, 1, "fail"),
        Event(topic=TABLE, partition=0, offset=1, timestamp_ms=1, key="e30=", value="e30="),
    )
    assert (failed.status, failed.detail) == ("dead_lettered", "handler_error: RuntimeError: as told")
    assert malformed.status == "dead_lettered"


def test_no_idempotency_key_is_that_of_another_rehearsal() -> None:
    """An endpoint that knows its keys would answer what it answered then; another model or other code may
    have the same settings."""
    keys: set[str] = set()
    for patch in ({}, {}, {"greeting": "bye"}):
        model = Model()
        rehearse(event(0, 1), model=model, patch=patch)
        keys |= set(model.keys)
    assert len(keys) == 3


def test_a_rehearsal_takes_a_quarter_of_the_models_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = ModelSpec(
        endpoint="http://model.test/v1",
        name="m",
        timeout_ms=1_000,
        max_attempts=1,
        max_concurrency=8,
        requests_per_minute=60,
        tokens_per_minute=60_000,
    )
    spec = in_memory_spec(prepare(Actor, {}), ("key",), DEFAULT_LIMITS, "none")
    spec = spec.model_copy(update={"model": declared, "parallelism": 3})
    given: list[tuple[ModelSpec, ModelState]] = []

    class Slow(Model):
        in_flight = most = 0

        async def complete(self, request: ChatRequest) -> Completion:
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
            await asyncio.sleep(0)
            self.in_flight -= 1
            return await super().complete(request)

    model = Slow()

    def connected(spec: ModelSpec, state: ModelState) -> Model:
        given.append((spec, state))
        return model

    monkeypatch.setattr(rehearsal, "connected", connected)
    monkeypatch.setattr(rehearsal, "load", lambda *_: prepare(Actor, {}))
    events = tuple(event(n, n) for n in range(20))
    rehearsal.rehearse(Job(spec=spec, events=events), lambda _: None)

    ((its, state),) = given
    turns = state.endpoints[0].turns
    assert turns is not None
    behind_s = turns.wait_s(behind=100) - turns.wait_s()
    few, many = (turns.wait_s(Estimate(tokens, 1)) for tokens in (15_000, 30_000))
    assert behind_s == pytest.approx(4 * 100 / USED_SHARE, abs=10)
    assert many - few == pytest.approx(60 / USED_SHARE, abs=10)
    assert (its.max_concurrency, model.most) == (2, 2)
