"""What a type checker knows of ``ctx.model``: ``make lint`` checks these lines, and here they run."""

from __future__ import annotations

import asyncio
from typing import assert_type

from pydantic import BaseModel

from headrace_agents import Message, Reply, RunModel
from headrace_agents.chat import Completion
from tests.unit.agents.journal import Script


class Answer(BaseModel):
    queue: str


def lookup(order: int) -> str:
    return str(order)


async def handle(model: RunModel) -> None:
    assert_type(await model("hello"), Reply[str])
    assert_type(await model([Message("user", "hello")], tools=[lookup]), Reply[str])
    assert_type((await model("hello")).content, str)
    assert_type(await model("hello", answer=Answer), Reply[Answer])
    assert_type((await model("hello", answer=Answer, tools=[lookup], max_turns=2)).content.queue, str)


async def refuse(model: RunModel) -> None:
    await model("hello", answer=int)  # type: ignore[type-var]
    await model(["hello"])  # type: ignore[list-item]


def test_the_types_are_those_of_the_values() -> None:
    asyncio.run(handle(Script(Completion('{"queue": "billing"}')).model))
