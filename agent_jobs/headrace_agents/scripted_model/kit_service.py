"""The scripted model as the service of a provider kit, for providers that speak OpenAI's interface."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from headrace_agents.provider_kit import KEY, RETRY_AFTER_S, Behaviour
from headrace_agents.scripted_model.server import serving
from headrace_agents.scripted_model.settings import Settings
from headrace_agents.scripted_model.wire import MODEL

_A_LIMIT = 1 / RETRY_AFTER_S
"""Of requests a second."""
SETTINGS: Mapping[Behaviour, Mapping[str, Any]] = {
    "answers": {},
    "auth": {"api_key": f"not {KEY}"},
    "declined": {"declined_rate": 1},
    "garbled": {"garbled_rate": 1},
    "hangs": {"hang_rate": 1},
    "overloaded": {"error_rate": 1},
    "rate_limited": {"rate_limit": {"per_second": _A_LIMIT}},
    "rate_limited_until": {"rate_limit": {"per_second": _A_LIMIT, "retry_after": "date"}},
    "refused": {"banned_words": ["invoice"]},
    "too_long": {"context_tokens": 1},
}
"""The kit's questions are of an invoice."""


class KitService:
    """A :class:`headrace_agents.provider_kit.Service`. ``url`` is for OpenAI clients."""

    def __init__(self, url: str, log: Path, http: aiohttp.ClientSession) -> None:
        self.url, self._log, self._http = url, log, http
        self._root = url.removesuffix("/v1")
        self._own_calls = 0

    async def behave(self, how: Behaviour) -> None:
        settings = {"api_key": KEY, **SETTINGS[how]}
        async with self._http.put(f"{self._root}/settings", json=settings) as response:
            response.raise_for_status()
        if "rate_limit" in settings:
            await self._use_up()

    async def calls(self) -> int:
        async with self._http.get(f"{self._root}/calls") as response:
            counted = await response.json()
        return int(counted["finished"] + counted["in_flight"]) - self._own_calls

    async def keys(self) -> Collection[str | None]:
        lines = [json.loads(line) for line in self._log.read_text(encoding="utf-8").splitlines()]
        return {line["idempotency_key"] for line in lines if line["status"] == 200}

    async def _use_up(self) -> None:
        """The one request that the limit lets in."""
        self._own_calls += 1
        body = {"model": MODEL, "input": "own"}
        headers = {"Authorization": f"Bearer {KEY}"}
        async with self._http.post(f"{self.url}/embeddings", json=body, headers=headers) as response:
            response.raise_for_status()


@asynccontextmanager
async def kit_service(log: Path) -> AsyncIterator[KitService]:
    """Serves while the block runs; calls are logged to the file."""
    async with serving(Settings(api_key=KEY), log) as url, aiohttp.ClientSession() as http:
        yield KitService(url, log, http)
