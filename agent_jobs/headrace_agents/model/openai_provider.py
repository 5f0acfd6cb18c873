"""OpenAI-compatible endpoints: one attempt each, errors as :class:`ModelError`.

It is the openai package's transport without the layers above it, which took half of a call's processor
time (``docs/decisions/0016-model-calls-without-layers.md``). Whether an answer fits the wanted structure is
not looked at here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import httpx2

from headrace_agents.chat import (
    ChatRequest,
    Completion,
    Message,
    ModelError,
    ModelErrorKind,
    Taken,
    ToolCall,
    ToolSchema,
    Usage,
    answer_schema,
)
from headrace_agents.embedding import EmbeddingRequest, Embeddings
from headrace_agents.model.told import retry_after_s, tokens, told
from headrace_agents.spec import EmbeddingSpec, EndpointSpec

_MOST_TEXTS = 2_048
"""Of one request for embeddings, by OpenAI's reference of its interface."""
_REFUSAL_BYTES = 64 << 10
"""Of a refusal's body, the most that is read."""


class _Client:
    """Posts once. Make it on the event loop that uses it.

    Raises OSError if the file of the key can't be read. ``http_client`` is closed with it.
    """

    def __init__(self, spec: EndpointSpec, http_client: httpx2.AsyncClient | None = None) -> None:
        self._endpoint = (spec.endpoint or "").rstrip("/")
        self._max_answer_bytes = spec.max_answer_bytes
        self._headers = {"Authorization": f"Bearer {_api_key(spec)}", "Content-Type": "application/json"}
        # The endpoint's layer keeps an attempt's time.
        self._client = http_client or _opened(spec)

    async def post(self, path: str, body: Mapping[str, Any], idempotency_key: str) -> Any:
        """The JSON of the answer. Raises ModelError."""
        headers = {**self._headers, "Idempotency-Key": idempotency_key}
        url, content = f"{self._endpoint}/{path}", json.dumps(body).encode()
        is_refused = False
        try:
            async with self._client.stream(
                "POST", url, content=content, headers=headers, follow_redirects=False
            ) as response:
                is_refused = not response.is_success
                if is_refused:
                    raise _status_error(response, await _read(response, _REFUSAL_BYTES))
                answer = await _read(response, self._max_answer_bytes)
        except (httpx2.HTTPError, aiohttp.ClientError) as error:
            kind, went_out = _transport_kind(error)
            taken: Taken = "unknown" if went_out and not is_refused else None
            raise ModelError(kind, f"{self._endpoint}: {error}", taken=taken) from error
        if len(answer) > self._max_answer_bytes:
            most = self._max_answer_bytes
            raise ModelError("too_long", f"an answer of more than {most} bytes", taken="unknown")
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise ModelError("malformed", f"the answer is no JSON: {error}", taken="unknown") from error

    async def close(self) -> None:
        await self._client.aclose()


class OpenAiProvider:
    """A :class:`ChatModel` that asks once. Made as :class:`_Client` is, and raises as it does."""

    def __init__(self, spec: EndpointSpec, http_client: httpx2.AsyncClient | None = None) -> None:
        self._name, self._client = spec.name, _Client(spec, http_client)

    async def complete(self, request: ChatRequest) -> Completion:
        body = _body(self._name, request)
        return _completion(await self._client.post("chat/completions", body, request.idempotency_key))

    async def close(self) -> None:
        await self._client.close()


class OpenAiEmbeddingProvider:
    """An :class:`EmbeddingModel` that asks once. Made as :class:`_Client` is, and raises as it does."""

    most_texts = _MOST_TEXTS

    def __init__(self, spec: EmbeddingSpec, http_client: httpx2.AsyncClient | None = None) -> None:
        self._options: dict[str, Any] = {"model": spec.name, "encoding_format": "float"}
        if spec.dimensions is not None:
            self._options["dimensions"] = spec.dimensions
        self._client = _Client(spec, http_client)

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        body = {**self._options, "input": request.texts}
        sent = await self._client.post("embeddings", body, request.idempotency_key)
        return _embeddings(sent, len(request.texts))

    async def close(self) -> None:
        await self._client.close()


def _opened(spec: EndpointSpec) -> httpx2.AsyncClient:
    # Imported here: it takes half a second, for which the operator's thread need not wait at its start.
    from openai import DefaultAioHttpClient  # noqa: PLC0415

    return DefaultAioHttpClient(limits=_limits(spec), timeout=None)


def _limits(spec: EndpointSpec) -> httpx2.Limits:
    """As many connections as calls: the package's own limit of 1 000 would be one that nobody declared."""
    return httpx2.Limits(max_connections=spec.max_concurrency, max_keepalive_connections=spec.max_concurrency)


def _transport_kind(error: Exception) -> tuple[ModelErrorKind, bool]:
    """With whether the request may have gone out. The transport calls each connection that failed a timeout,
    and lets some errors of aiohttp through."""
    if isinstance(error, httpx2.DecodingError):
        return "malformed", True
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    is_late = isinstance(cause, (TimeoutError, httpx2.TimeoutException))
    return "timeout" if is_late else "overloaded", not isinstance(cause, _NOT_CONNECTED)


_NOT_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
)


async def _read(response: httpx2.Response, most: int) -> bytes:
    """The body; of a longer one than ``most`` as much as shows that it is longer."""
    read = bytearray()
    async for part in response.aiter_bytes():
        read += part
        if len(read) > most:
            break
    return bytes(read)


def _body(model: str, request: ChatRequest) -> dict[str, Any]:
    """What is not asked for is not in it: some endpoints refuse an empty list or a null."""
    messages = [_message(message) for message in request.messages]
    options: dict[str, Any] = {"model": model, "messages": messages}
    if request.temperature is not None:
        options["temperature"] = request.temperature
    if request.max_output_tokens is not None:
        options["max_tokens"] = request.max_output_tokens
    if request.tools:
        options["tools"] = [_tool(tool) for tool in request.tools]
    if request.answer_type is not None:
        schema = {"name": request.answer_type.__name__, "schema": answer_schema(request.answer_type)}
        options["response_format"] = {"type": "json_schema", "json_schema": schema}
    return options


def _tool(tool: ToolSchema) -> dict[str, Any]:
    described = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": described}


def _message(message: Message) -> dict[str, Any]:
    if message.tool_call_id is not None:
        return {"role": message.role, "content": message.content, "tool_call_id": message.tool_call_id}
    if not message.tool_calls:
        return {"role": message.role, "content": message.content}
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in message.tool_calls
    ]
    return {"role": message.role, "content": message.content or None, "tool_calls": calls}


def _completion(sent: Any) -> Completion:
    """``sent`` is what the endpoint sent, so its parts may be of any type."""
    taken: Taken = "unknown"
    try:
        usage = _usage(sent)
        taken = _taken(usage)
        choice = sent["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content"), message.get("refusal")
        calls = tuple(
            ToolCall(_text(call["id"]), _text(call["function"]["name"]), _text(call["function"]["arguments"]))
            for call in message.get("tool_calls") or ()
        )
        cut_off = choice.get("finish_reason") == "length"
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ModelError("malformed", "not a chat completion", taken=taken) from error
    if refusal:
        raise ModelError("refused", f"by the model: {told(refusal)}", taken=taken)
    if not isinstance(text, str) and not calls:
        raise ModelError("malformed", "the answer has neither text nor calls of tools", taken=taken)
    return Completion(text if isinstance(text, str) else None, calls, usage, cut_off)


def _embeddings(sent: Any, texts: int) -> Embeddings:
    """``sent`` is what the endpoint sent; its vectors may come in any order, each with its index."""
    taken: Taken = "unknown"
    try:
        usage = _usage(sent)
        taken = _taken(usage)
        by_index = {each["index"]: each["embedding"] for each in sent["data"]}
        return Embeddings.of([by_index[index] for index in range(texts)], usage)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ModelError("malformed", f"not embeddings of {texts} texts", taken=taken) from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("it is no text")
    return value


def _usage(sent: Any) -> Usage:
    """An endpoint that counts no tokens is taken at its word: none. Raises AttributeError for no object."""
    counted = sent.get("usage") or {}
    return Usage(tokens(counted.get("prompt_tokens")), tokens(counted.get("completion_tokens")))


def _taken(usage: Usage) -> Taken:
    """By an answer that is of no use."""
    return usage if usage.total_tokens else "unknown"


def _status_error(response: httpx2.Response, body: bytes) -> ModelError:
    status = response.status_code
    asked_s = retry_after_s(response.headers.get("retry-after"))
    if status == 429:
        return ModelError("rate_limited", "429", retry_after_s=asked_s)
    if status >= 500 or status in (408, 409):
        # A gateway that gave up says nothing of the model behind it.
        taken: Taken = "unknown" if status in (408, 504) else None
        return ModelError("overloaded", str(status), retry_after_s=asked_s, taken=taken)
    code, message = _error(body, response.reason_phrase)
    return ModelError(_refusal(status, code, message), f"{status}: {message}")


def _error(body: bytes, otherwise: str) -> tuple[object, str]:
    """The code, if any, and the words of a refusal, whatever the endpoint sent."""
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        return None, told(body.decode(errors="replace")) or otherwise
    error = sent.get("error", sent) if isinstance(sent, dict) else sent
    if isinstance(error, dict):
        return error.get("code"), told(error.get("message") or error)
    return None, told(error)


def _refusal(status: int, code: object, message: str) -> ModelErrorKind:
    """Kinds of what would be refused again."""
    if status in (401, 403):
        return "auth"
    # Compatible endpoints say it in words only.
    of_context = code == "context_length_exceeded" or "context length" in message.lower()
    if status == 413 or (status == 400 and of_context):
        return "too_long"
    return "refused" if status >= 400 else "unknown"


def _api_key(spec: EndpointSpec) -> str:
    if spec.api_key_file is None:
        return "none"
    return Path(spec.api_key_file).read_text(encoding="utf-8").strip()
