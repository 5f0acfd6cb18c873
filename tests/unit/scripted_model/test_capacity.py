"""What the model can be told to bear, and the runtime's client finding it out over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from headrace_agents.chat import ChatRequest, Message, ModelError
from headrace_agents.model.concurrency import Begun, Concurrency
from headrace_agents.model.endpoint import Endpoint
from headrace_agents.model.openai_provider import OpenAiProvider
from headrace_agents.scripted_model import Settings, serving
from headrace_agents.spec import ModelSpec
from tests.pipeline.sizes import in_make_chaos_alone

pytestmark = pytest.mark.anyio

LATENCY_MS, CAPACITY, MOST = 100.0, 16, 64
FASTER = 6
"""The clock by which the client looks at lower limits, so that the test need not wait as long."""
FOUND_WITHIN_S, MEASURED_S = 4, 2


class Fixed(Concurrency):
    """A limit that hears of nothing."""

    def wanted(self) -> None:
        """It stays."""

    def refused(self, call: Begun, for_s: float = 0.0) -> None:
        """It stays."""


class Counting:
    """The client under more load than the model bears."""

    def __init__(self, url: str, concurrency: Concurrency) -> None:
        self.answers = 0
        self.concurrency = concurrency
        spec = ModelSpec(
            endpoint=url, name="scripted-triage", timeout_ms=30_000, max_attempts=1, max_concurrency=MOST
        )
        self._endpoint = Endpoint(spec, OpenAiProvider(spec), concurrency=concurrency)
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(MOST)]

    async def answers_a_second(self, seconds: float) -> float:
        answers, began = self.answers, time.monotonic()
        await asyncio.sleep(seconds)
        return (self.answers - answers) / (time.monotonic() - began)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._endpoint.close()

    async def _ask(self) -> None:
        while True:
            await self._endpoint.complete(ChatRequest((Message("user", "hello"),), "k"))
            self.answers += 1


@asynccontextmanager
async def asking(url: str, kind: type[Concurrency], start: int) -> AsyncIterator[Counting]:
    # The server is in this process: its processor time is not the worker's.
    limit = kind(start, MOST, wall_clock=lambda: FASTER * time.time(), processor=lambda: 0.0)
    client = Counting(url, limit)
    try:
        yield client
    finally:
        await client.close()


async def put(url: str, capacity: int) -> None:
    settings = {"latency_ms": LATENCY_MS, "capacity": capacity}
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.put(url.removesuffix("/v1") + "/settings", json=settings)
        assert answer.is_success


async def test_no_more_calls_are_worked_on_at_once_than_the_capacity(tmp_path: Path) -> None:
    settings = Settings(latency_ms=LATENCY_MS, capacity=4)
    async with serving(settings, tmp_path / "calls") as url, asking(url, Fixed, 16) as client:
        await asyncio.sleep(0.5)
        assert 30 <= await client.answers_a_second(1) <= 41


async def test_a_storm_refuses_every_call_and_says_for_how_long(tmp_path: Path) -> None:
    async with serving(Settings(refused_for_s=7), tmp_path / "calls") as url:
        spec = ModelSpec(
            endpoint=url, name="scripted-triage", timeout_ms=1_000, max_attempts=1, max_concurrency=1
        )
        provider = OpenAiProvider(spec)
        with pytest.raises(ModelError) as raised:
            await provider.complete(ChatRequest((Message("user", "hello"),), "k"))
        await provider.close()
    assert (raised.value.kind, raised.value.retry_after_s) == ("rate_limited", 7)


@in_make_chaos_alone("that a capacity is found over HTTP; in simulated time it is")
async def test_the_client_finds_a_hidden_capacity_and_follows_when_it_halves(tmp_path: Path) -> None:
    async with serving(Settings(latency_ms=LATENCY_MS), tmp_path / "calls") as url:
        best = {capacity: await best_of_fixed_limits(url, capacity) for capacity in (CAPACITY, CAPACITY // 2)}
        await put(url, CAPACITY)
        async with asking(url, Concurrency, 4) as client:
            for capacity, most in best.items():
                await put(url, capacity)
                await asyncio.sleep(FOUND_WITHIN_S)
                assert await client.answers_a_second(MEASURED_S) >= 0.8 * most
                assert client.concurrency.limit <= 2 * capacity


async def best_of_fixed_limits(url: str, capacity: int) -> float:
    """Answers a second."""
    await put(url, capacity)
    found = []
    for limit in (capacity // 2, capacity, 2 * capacity):
        async with asking(url, Fixed, limit) as client:
            await asyncio.sleep(2 * LATENCY_MS / 1_000)
            found.append(await client.answers_a_second(0.7))
    return max(found)
