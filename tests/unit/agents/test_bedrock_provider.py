"""The providers of Bedrock pass the kit: boto3 over real HTTP, against a stand-in of Bedrock's runtime."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import BaseModel

from headrace_agents.chat import ChatRequest, Completion, Message, ModelError, ToolCall, ToolSchema, Usage
from headrace_agents.embedding import EmbeddingRequest
from headrace_agents.model.bedrock_embedding_provider import BedrockEmbeddingProvider
from headrace_agents.model.bedrock_provider import BedrockProvider
from headrace_agents.provider_kit import (
    KEY,
    MOST,
    TIMEOUT_MS,
    ChatProviderKit,
    EmbeddingProviderKit,
    Service,
)
from headrace_agents.spec import EmbeddingSpec, ModelSpec
from tests.unit.agents.converse_stand_in import ACCESS_KEY, ConverseStandIn, serving_converse

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
TITAN, COHERE = "amazon.titan-embed-text-v2:0", "eu.cohere.embed-v4:0"
LOOK_UP = ToolSchema("lookup", "Looks up.", {"type": "object"})


class Answer(BaseModel):
    queue: str


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Found by boto3's chain in the environment, and nothing of this machine's."""
    nowhere = str(tmp_path_factory.mktemp("nowhere") / "none")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    monkeypatch.setenv("AWS_SESSION_TOKEN", KEY)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
    monkeypatch.setenv("AWS_CONFIG_FILE", nowhere)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)


def fields(url: str, name: str, **changed: Any) -> dict[str, Any]:
    return {
        "provider": "bedrock",
        "region": "eu-central-1",
        "endpoint": url,
        "name": name,
        "timeout_ms": TIMEOUT_MS,
        "max_attempts": 1,
        "max_concurrency": MOST,
    } | changed


class OverTheStandIn:
    """Where the kits run."""

    @asynccontextmanager
    async def service(self) -> AsyncIterator[ConverseStandIn]:
        async with serving_converse() as stand_in:
            yield stand_in

    def url(self, service: Service) -> str:
        assert isinstance(service, ConverseStandIn)
        return service.url


class TestBedrockProvider(OverTheStandIn, ChatProviderKit):
    def provider(self, service: Service) -> BedrockProvider:
        return BedrockProvider(ModelSpec(**fields(self.url(service), MODEL)))


class TestBedrockEmbeddingProvider(OverTheStandIn, EmbeddingProviderKit):
    def provider(self, service: Service) -> BedrockEmbeddingProvider:
        return BedrockEmbeddingProvider(EmbeddingSpec(**fields(self.url(service), COHERE)))


def asked(
    ask: Callable[[BedrockProvider], Awaitable[Any]], **set_up: Any
) -> tuple[Any, list[dict[str, Any]]]:
    """What the call gave or raised, and the bodies that the stand-in got."""

    async def run() -> tuple[Any, list[dict[str, Any]]]:
        async with serving_converse() as stand_in:
            for name, value in set_up.items():
                setattr(stand_in, name, value)
            provider = BedrockProvider(ModelSpec(**fields(stand_in.url, MODEL)))
            try:
                return await ask(provider), stand_in.bodies
            except ModelError as error:
                return error, stand_in.bodies
            finally:
                await provider.close()

    return asyncio.run(run())


def completed(request: ChatRequest, **set_up: Any) -> tuple[Any, list[dict[str, Any]]]:
    return asked(lambda provider: provider.complete(request), **set_up)


def hello(*messages: Message, **options: Any) -> ChatRequest:
    return ChatRequest((Message("user", "hello"), *messages), "key-1", **options)


def test_what_is_not_asked_for_is_not_sent() -> None:
    completion, (body,) = completed(hello())

    assert completion == Completion("Scripted answer, by rules.", usage=Usage(7, 3))
    assert body == {
        "messages": [{"role": "user", "content": [{"text": "hello"}]}],
        "requestMetadata": {"idempotency-key": "key-1"},
    }


def test_a_chat_is_sent_by_turns() -> None:
    calls = (ToolCall("c1", "lookup", '{"order": 1}'), ToolCall("c2", "lookup", "no json"))
    request = ChatRequest(
        (
            Message("system", "Be short."),
            Message("user", "look up 1"),
            Message("assistant", " ", calls),
            Message("tool", "on its way", tool_call_id="c1"),
            Message("tool", "", tool_call_id="c2"),
            Message("user", "and?"),
        ),
        "k",
        tools=(LOOK_UP,),
        temperature=0.5,
        max_output_tokens=9,
    )

    _, (body,) = completed(request)

    assert body["system"] == [{"text": "Be short."}]
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"toolUse": {"toolUseId": "c1", "name": "lookup", "input": {"order": 1}}},
                {"toolUse": {"toolUseId": "c2", "name": "lookup", "input": {"arguments": "no json"}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "c1", "content": [{"text": "on its way"}]}},
                {"toolResult": {"toolUseId": "c2", "content": []}},
                {"text": "and?"},
            ],
        },
    ]
    described = {"name": "lookup", "description": "Looks up.", "inputSchema": {"json": {"type": "object"}}}
    assert body["toolConfig"] == {"tools": [{"toolSpec": described}]}
    assert body["inferenceConfig"] == {"temperature": 0.5, "maxTokens": 9}


def test_a_structured_answer_is_a_tool_that_must_be_called() -> None:
    completion, (body,) = completed(hello(answer_type=Answer))

    (tool,) = body["toolConfig"]["tools"]
    assert body["toolConfig"]["toolChoice"] == {"any": {}}
    assert tool["toolSpec"]["inputSchema"]["json"] == Answer.model_json_schema()
    assert completion == Completion('{"queue": "general"}', usage=Usage(7, 3))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ((429, "ThrottlingException", "Too many tokens, please wait"), "rate_limited"),
        ((400, "ServiceQuotaExceededException", "quota"), "rate_limited"),
        ((429, "ModelNotReadyException", "not ready"), "overloaded"),
        ((424, "ModelErrorException", "failed"), "overloaded"),
        ((500, "InternalServerException", "internal"), "overloaded"),
        ((503, "ServiceUnavailableException", "later"), "overloaded"),
        ((502, "", "a proxy's"), "overloaded"),
        ((408, "ModelTimeoutException", "took too long"), "timeout"),
        ((403, "AccessDeniedException", "no access to the model"), "auth"),
        ((403, "ExpiredTokenException", "expired"), "auth"),
        ((403, "InvalidSignatureException", "signature"), "auth"),
        ((404, "ResourceNotFoundException", "no such model"), "refused"),
        ((400, "ValidationException", "malformed input request"), "refused"),
        ((400, "ValidationException", "Input is too long for requested model."), "too_long"),
        ((400, "ValidationException", "maximum context length is 65536 tokens"), "too_long"),
        ((413, "", "a proxy's"), "too_long"),
    ],
)
def test_an_error_of_bedrock_has_its_kind(error: tuple[int, str, str], kind: str) -> None:
    raised, bodies = completed(hello(), error=error)

    assert isinstance(raised, ModelError)
    assert raised.kind == kind
    assert len(bodies) == 1


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("guardrail_intervened", "refused"),
        ("content_filtered", "refused"),
        ("malformed_model_output", "malformed"),
        ("malformed_tool_use", "malformed"),
        ("model_context_window_exceeded", "too_long"),
    ],
)
def test_a_reason_to_stop_that_leaves_no_answer_is_a_failure(reason: str, kind: str) -> None:
    raised, _ = completed(hello(), stop_reason=reason)

    assert isinstance(raised, ModelError)
    assert raised.kind == kind


def test_a_call_that_nobody_cancels_ends_at_its_time_out() -> None:
    raised, _ = completed(hello(), how="hangs")

    assert isinstance(raised, ModelError)
    assert raised.kind == "timeout"


def test_without_credentials_a_call_is_refused_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)

    raised, bodies = completed(hello())

    assert isinstance(raised, ModelError)
    assert (raised.kind, bodies) == ("auth", [])


@pytest.mark.parametrize(
    ("model", "purpose", "body"),
    [
        (TITAN, "query", {"inputText": "hello", "dimensions": 256}),
        (
            COHERE,
            "query",
            {
                "texts": ["hello"],
                "input_type": "search_query",
                "embedding_types": ["float"],
                "output_dimension": 256,
            },
        ),
    ],
)
def test_an_embedding_is_asked_for_as_its_maker_has_it(
    model: str, purpose: Any, body: dict[str, Any]
) -> None:
    async def run() -> None:
        async with serving_converse() as stand_in:
            provider = BedrockEmbeddingProvider(EmbeddingSpec(**fields(stand_in.url, model, dimensions=256)))
            made = await provider.embed(EmbeddingRequest(("hello",), "key-1", purpose))
            await provider.close()
            assert stand_in.bodies == [body]
            assert stand_in.models == [model]
            assert [len(vector) for vector in made.vectors] == [256]
            assert made.usage == Usage(1)

    asyncio.run(run())


def test_an_embedding_model_of_an_unknown_maker_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'some\.model': known on Bedrock are amazon\.titan-embed-text"):
        BedrockEmbeddingProvider(EmbeddingSpec(**fields("http://127.0.0.1:1", "some.model")))


def test_boto3_is_imported_only_where_a_model_is_on_bedrock() -> None:
    code = "import sys, headrace_agents.model.connecting; sys.exit('botocore' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
