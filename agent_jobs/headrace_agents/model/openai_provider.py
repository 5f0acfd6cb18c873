"""OpenAI-compatible endpoints: one attempt each, errors as :class:`ModelError`.

It is the openai package's transport without the layers above it, which took half of a call's processor
time (``docs/decisions/0016-model-calls-without-layers.md``). Whether an answer fits the wanted structure is
not looked at here.
"""

from __future__ import annotations

import json
import math
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import openai

from headrace_agents.chat import (
    ChatRequest,
    Completion,
    Message,
    ModelError,
    ModelErrorKind,
    ToolCall,
    ToolSchema,
    Usage,
    answer_schema,
)
from headrace_agents.spec import EndpointSpec

_LONGEST_WORD_S = 600.0
"""Of a ``Retry-After``: whoever asks for more is asked again after that."""
_REFUSAL_CHARACTERS = 1_000
"""Of what an endpoint says; it goes into a dead letter's header."""
_REFUSAL_BYTES = 64 << 10
"""Of a refusal's body, the most that is read."""


class OpenAiProvider:
    """A :class:`ChatModel` that asks once.

    Make it on the event loop that uses it. Raises OSError if the file of the key can't be read.
    ``http_client`` is closed with it.
    """

    def __init__(self, spec: EndpointSpec, http_client: httpx2.AsyncClient | None = None) -> None:
        self._name, self._endpoint = spec.name, spec.endpoint
        self._max_answer_bytes = spec.max_answer_bytes
        self._url = f"{spec.endpoint.rstrip('/')}/chat/completions"
        self._headers = {"Authorization": f"Bearer {_api_key(spec)}", "Content-Type": "application/json"}
        # The endpoint's layer keeps an attempt's time.
        self._client = http_client or openai.DefaultAioHttpClient(limits=_limits(spec), timeout=None)

    async def complete(self, request: ChatRequest) -> Completion:
        content = json.dumps(_body(self._name, request)).encode()
        headers = {**self._headers, "Idempotency-Key": request.idempotency_key}
        try:
            async with self._client.stream(
                "POST", self._url, content=content, headers=headers, follow_redirects=False
            ) as response:
                if not response.is_success:
                    raise _status_error(response, await _read(response, _REFUSAL_BYTES))
                body = await _read(response, self._max_answer_bytes)
        except httpx2.DecodingError as error:
            raise ModelError("malformed", f"{self._endpoint}: {error}") from error
        except (httpx2.HTTPError, aiohttp.ClientError) as error:
            raise ModelError(_connection_kind(error), f"{self._endpoint}: {error}") from error
        if len(body) > self._max_answer_bytes:
            raise ModelError("too_long", f"an answer of more than {self._max_answer_bytes} bytes")
        try:
            sent = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ModelError("malformed", f"not a chat completion: {error}") from error
        return _completion(sent)

    async def close(self) -> None:
        await self._client.aclose()


def _limits(spec: EndpointSpec) -> httpx2.Limits:
    """As many connections as calls: the package's own limit of 1 000 would be one that nobody declared."""
    return httpx2.Limits(max_connections=spec.max_concurrency, max_keepalive_connections=spec.max_concurrency)


def _connection_kind(error: Exception) -> ModelErrorKind:
    """The transport calls each connection that failed a timeout, and lets some errors of aiohttp through."""
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    return "timeout" if isinstance(cause, (TimeoutError, httpx2.TimeoutException)) else "overloaded"


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
    try:
        choice = sent["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content"), message.get("refusal")
        calls = tuple(
            ToolCall(_text(call["id"]), _text(call["function"]["name"]), _text(call["function"]["arguments"]))
            for call in message.get("tool_calls") or ()
        )
        cut_off = choice.get("finish_reason") == "length"
        usage = _usage(sent.get("usage"))
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ModelError("malformed", "not a chat completion") from error
    if refusal:
        raise ModelError("refused", f"by the model: {str(refusal)[:_REFUSAL_CHARACTERS]}")
    if not isinstance(text, str) and not calls:
        raise ModelError("malformed", "the answer has neither text nor calls of tools")
    return Completion(text if isinstance(text, str) else None, calls, usage, cut_off)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("it is no text")
    return value


def _usage(counted: Any) -> Usage:
    """An endpoint that counts no tokens is taken at its word: none."""
    counts = ((counted or {}).get(name) for name in ("prompt_tokens", "completion_tokens"))
    return Usage(*(max(0, count) if isinstance(count, int) else 0 for count in counts))


def _status_error(response: httpx2.Response, body: bytes) -> ModelError:
    status = response.status_code
    retry_after_s = _seconds(response.headers.get("retry-after"))
    if status == 429:
        return ModelError("rate_limited", "429", retry_after_s=retry_after_s)
    if status >= 500 or status in (408, 409):
        return ModelError("overloaded", str(status), retry_after_s=retry_after_s)
    code, message = _error(body, response.reason_phrase)
    return ModelError(_refusal(status, code, message), f"{status}: {message}")


def _error(body: bytes, otherwise: str) -> tuple[object, str]:
    """The code, if any, and the words of a refusal, whatever the endpoint sent."""
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        return None, body.decode(errors="replace")[:_REFUSAL_CHARACTERS] or otherwise
    told = sent.get("error", sent) if isinstance(sent, dict) else sent
    if isinstance(told, dict):
        return told.get("code"), str(told.get("message") or told)[:_REFUSAL_CHARACTERS]
    return None, str(told)[:_REFUSAL_CHARACTERS]


def _refusal(status: int, code: object, message: str) -> ModelErrorKind:
    """Kinds of what would be refused again."""
    if status in (401, 403):
        return "auth"
    # Compatible endpoints say it in words only.
    of_context = code == "context_length_exceeded" or "context length" in message.lower()
    if status == 413 or (status == 400 and of_context):
        return "too_long"
    return "refused" if status >= 400 else "unknown"


def _seconds(header: str | None) -> float | None:
    """From now, within bounds; None for what is neither seconds nor a date."""
    if header is None:
        return None
    try:
        asked = float(header)
    except ValueError:
        try:
            asked = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(asked) else min(max(0.0, asked), _LONGEST_WORD_S)


def _api_key(spec: EndpointSpec) -> str:
    if spec.api_key_file is None:
        return "none"
    return Path(spec.api_key_file).read_text(encoding="utf-8").strip()
