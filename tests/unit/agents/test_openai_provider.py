"""The OpenAI-compatible providers pass the kit, over real HTTP against the scripted model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headrace_agents.model.openai_provider import OpenAiEmbeddingProvider, OpenAiProvider
from headrace_agents.provider_kit import (
    KEY,
    MOST,
    TIMEOUT_MS,
    Behaviour,
    ChatProviderKit,
    EmbeddingProviderKit,
    Service,
)
from headrace_agents.scripted_model import Settings, serving
from headrace_agents.scripted_model.wire import MODEL
from headrace_agents.spec import EmbeddingSpec, ModelSpec

SETTINGS: dict[Behaviour, dict[str, Any]] = {
    "answers": {},
    "auth": {"api_key": "another"},
    "declined": {"declined_rate": 1},
    "garbled": {"garbled_rate": 1},
    "hangs": {"hang_rate": 1},
    "overloaded": {"error_rate": 1},
    "rate_limited": {"rate_limit": {"per_second": 0.1}},
    "rate_limited_until": {"rate_limit": {"per_second": 0.1, "retry_after": "date"}},
    "refused": {"banned_words": ["invoice"]},
    "too_long": {"context_tokens": 1},
}


class Scripted:
    """The scripted model, as the kit wants it."""

    def __init__(self, url: str, log: Path, http: aiohttp.ClientSession) -> None:
        self.url, self._log, self._http = url, log, http
        self._root = url.removesuffix("/v1")
        self._own_calls = 0

    async def behave(self, how: Behaviour) -> None:
        settings = {"api_key": KEY} | SETTINGS[how]
        async with self._http.put(f"{self._root}/settings", json=settings) as response:
            assert response.status == 200, await response.text()
        if "rate_limit" in settings:
            await self._use_up()

    async def calls(self) -> int:
        async with self._http.get(f"{self._root}/calls") as response:
            counted = await response.json()
        return int(counted["finished"] + counted["in_flight"]) - self._own_calls

    async def keys(self) -> Collection[str | None]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return {line["idempotency_key"] for line in lines}

    async def _use_up(self) -> None:
        """The one request that the limit lets in."""
        self._own_calls += 1
        body = {"model": MODEL, "input": "own"}
        headers = {"Authorization": f"Bearer {KEY}"}
        async with self._http.post(f"{self.url}/embeddings", json=body, headers=headers) as response:
            assert response.status == 200, await response.text()


class OverTheScriptedModel:
    """Where both kits run."""

    @pytest.fixture(autouse=True)
    def _in_a_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        (tmp_path / "key").write_text(KEY)

    @asynccontextmanager
    async def service(self) -> AsyncIterator[Scripted]:
        log = self.folder / "calls.jsonl"
        async with serving(Settings(api_key=KEY), log) as url, aiohttp.ClientSession() as http:
            yield Scripted(url, log, http)

    def fields(self, service: Service) -> dict[str, Any]:
        assert isinstance(service, Scripted)
        return {
            "endpoint": service.url,
            "name": MODEL,
            "api_key_file": str(self.folder / "key"),
            "timeout_ms": TIMEOUT_MS,
            "max_attempts": 1,
            "max_concurrency": MOST,
        }


class TestOpenAiProvider(OverTheScriptedModel, ChatProviderKit):
    def provider(self, service: Service) -> OpenAiProvider:
        return OpenAiProvider(ModelSpec(**self.fields(service)))


class TestOpenAiEmbeddingProvider(OverTheScriptedModel, EmbeddingProviderKit):
    def provider(self, service: Service) -> OpenAiEmbeddingProvider:
        return OpenAiEmbeddingProvider(EmbeddingSpec(**self.fields(service)))

    def test_vectors_have_as_many_numbers_as_are_asked_for(self) -> None:
        async def asking(provider: OpenAiEmbeddingProvider, _service: object) -> None:
            assert {len(vector) for vector in (await self.ask(provider)).vectors} == {8}

        self._tried(asking)
