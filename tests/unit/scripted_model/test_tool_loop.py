"""The whole way of ``ctx.model``: its loop, the client, HTTP, and the scripted model that calls tools."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from headrace_agents import RunModel
from headrace_agents.model.connecting import connected
from headrace_agents.scripted_model import Settings, serving
from headrace_agents.spec import ModelSpec
from tests.unit.agents.journal import Journal

pytestmark = pytest.mark.anyio


class Triage(BaseModel):
    urgency: str
    queue: str


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_named_tools_are_called_in_turn_and_the_structured_answer_follows(tmp_path: Path) -> None:
    found: list[int] = []

    async def lookup(order: int) -> dict[str, int]:
        """Finds an order."""
        found.append(order)
        return {"order": order}

    def reopen(order: int, why: str = "") -> None:
        """Opens an order again."""
        found.append(order)

    async with serving(Settings(), tmp_path / "calls.jsonl") as url:
        spec = ModelSpec(
            endpoint=url, name="scripted-triage", timeout_ms=5000, max_attempts=1, max_concurrency=1
        )
        client = connected(spec)
        try:
            ask = RunModel(client, Journal())
            prompt = "the api is down: lookup the order and reopen it"
            reply = await ask(prompt, answer=Triage, tools=[reopen, lookup])
        finally:
            await client.close()

    assert (reply.content, reply.turns) == (Triage(urgency="high", queue="technical"), 3)
    called = [call.name for message in reply.messages for call in message.tool_calls]
    assert called == ["lookup", "reopen"]
    assert found == [0, 0]
    assert reply.usage.total_tokens > 0
