"""The OpenAI-compatible providers pass the kit, over real HTTP against the scripted model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace_agents.model.openai_provider import OpenAiEmbeddingProvider, OpenAiProvider
from headrace_agents.provider_kit import (
    KEY,
    MOST,
    TIMEOUT_MS,
    ChatProviderKit,
    EmbeddingProviderKit,
    Service,
)
from headrace_agents.scripted_model.kit_service import KitService, kit_service
from headrace_agents.scripted_model.wire import MODEL
from headrace_agents.spec import EmbeddingSpec, ModelSpec


class OverTheScriptedModel:
    """Where both kits run."""

    @pytest.fixture(autouse=True)
    def _in_a_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        (tmp_path / "key").write_text(KEY)

    @asynccontextmanager
    async def service(self) -> AsyncIterator[KitService]:
        async with kit_service(self.folder / "calls.jsonl") as service:
            yield service

    def fields(self, service: Service) -> dict[str, Any]:
        assert isinstance(service, KitService)
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
