"""An agent's class is checked before anything runs, and errors say what is wrong and where."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel

import headrace_agents
from headrace_agents import Agent, AgentError, Change, Context, on
from headrace_agents.agent import load, prepare
from headrace_agents.run_embedding import RunEmbedding
from tests.unit.agents.journal import Journal
from tests.unit.agents.worlds import Decided, Seen, Thing


class Needy(BaseModel):
    must: int


class NeedyMemory(Agent[Needy, Decided]):
    @on("a.b")
    async def handle(self, ctx: Context[Needy, Decided], change: Change[Thing]) -> None: ...


class NoHandler(Agent[Seen, Decided]):
    pass


class NotAsync(Agent[Seen, Decided]):
    @on("a.b")  # type: ignore[type-var]
    def handle(self, ctx: Context[Seen, Decided], change: Change[Thing]) -> None: ...


class TwoHandlers(Agent[Seen, Decided]):
    @on("a.b", "create")
    async def one(self, ctx: Context[Seen, Decided], change: Change[Thing]) -> None: ...

    @on("a.b")
    async def two(self, ctx: Context[Seen, Decided], change: Change[Thing]) -> None: ...


class NoRow(Agent[Seen, Decided]):
    @on("a.b")
    async def handle(self, ctx: Context[Seen, Decided], change: Any) -> None: ...


class WrongOperation(Agent[Seen, Decided]):
    @on("a.b", "insert")  # type: ignore[arg-type]
    async def handle(self, ctx: Context[Seen, Decided], change: Change[Thing]) -> None: ...


class Untyped(Agent):  # type: ignore[type-arg]
    @on("a.b")
    async def handle(self, ctx: Context[Seen, Decided], change: Change[Thing]) -> None: ...


@pytest.mark.parametrize(
    ("agent_class", "message"),
    [
        (NeedyMemory, "memory Needy needs a default for every field"),
        (NoHandler, "no handler"),
        (NotAsync, "handle: a handler is an `async def`"),
        (TwoHandlers, r"one and two both handle \('a.b', 'create'\)"),
        (NoRow, r"handle: annotate its last parameter as Change\[Row\]"),
        (WrongOperation, "'insert' is none of create, update, delete, read"),
        (Untyped, r"derive it from Agent\[Memory, Decisions\]"),
    ],
)
def test_a_wrong_class_is_refused(agent_class: type[Agent[Any, Any, Any]], message: str) -> None:
    with pytest.raises(AgentError, match=message):
        prepare(agent_class, {})


@pytest.mark.parametrize(
    ("entry_point", "message"),
    [
        ("support_triage.agent", "not of the form package.module:Class"),
        ("nowhere.at_all:Agent", "can't import nowhere.at_all"),
        ("support_triage.agent:Missing", "module support_triage.agent has no Missing"),
        ("support_triage.agent:Ticket", "Ticket is no subclass of headrace_agents.Agent"),
    ],
)
def test_a_wrong_entry_point_is_refused(entry_point: str, message: str) -> None:
    with pytest.raises(AgentError, match=message):
        load(entry_point, {})


def test_wrong_settings_are_refused_by_name() -> None:
    with pytest.raises(AgentError, match=r"(?s)settings are wrong.*escalate_evry"):
        load("support_triage.agent:SupportTriage", {"escalate_evry": 3})


def test_an_undeclared_decision_is_a_type_error() -> None:
    context: Context[Seen, BaseModel] = Context(
        memory=Seen(),
        model=headrace_agents.RunModel(None, Journal()),
        embedding=RunEmbedding(None, Journal()),
        steps=Journal(),
        key={},
        now_ms=0,
        decision_types=(Decided,),
        reminder_types=(),
    )

    with pytest.raises(TypeError, match="emitted a Seen; the agent declares Decided"):
        context.emit(Seen())


def test_what_is_exported_exists() -> None:
    assert sorted(headrace_agents.__all__) == headrace_agents.__all__
    assert all(hasattr(headrace_agents, name) for name in headrace_agents.__all__)


def test_an_author_s_import_loads_neither_flink_nor_a_model_client() -> None:
    program = "import sys, headrace_agents; print({'pyflink', 'openai', 'aiohttp'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
