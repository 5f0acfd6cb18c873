"""The client of an OpenAI-compatible endpoint: one layer of attempts, errors as :class:`ModelError`.

The openai package's own retries are off. A call's total time is bound by the run's deadline, which
cancels it. Whether an answer fits the wanted structure is not looked at here.
"""

from __future__ import annotations

import asyncio
import random
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

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
from headrace_agents.spec import ModelSpec

_FIRST_BACKOFF_S = 0.25
_MAX_BACKOFF_S = 8.0
_WORTH_ANOTHER: frozenset[ModelErrorKind] = frozenset({"rate_limited", "overloaded", "timeout", "malformed"})


class OpenAiModel:
    """A :class:`ChatModel`, with at most ``max_concurrency`` calls at once.

    Make it on the event loop that uses it. Raises OSError if the file of the key can't be read.
    ``http_client`` is closed with it.
    """

    def __init__(self, spec: ModelSpec, http_client: httpx2.AsyncClient | None = None) -> None:
        self._spec = spec
        self._client = openai.AsyncOpenAI(
            base_url=spec.endpoint,
            api_key=_api_key(spec),
            timeout=spec.timeout_ms / 1000,
            max_retries=0,
            http_client=http_client or openai.DefaultAioHttpClient(),
        )
        self._free = asyncio.Semaphore(spec.max_concurrency)

    async def complete(self, request: ChatRequest) -> Completion:
        for attempt in range(1, self._spec.max_attempts + 1):
            try:
                async with self._free:
                    return await self._attempt(request)
            except ModelError as error:
                if error.kind not in _WORTH_ANOTHER or attempt == self._spec.max_attempts:
                    raise
                await asyncio.sleep(_pause_s(attempt, error.retry_after_s))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def close(self) -> None:
        await self._client.close()

    async def _attempt(self, request: ChatRequest) -> Completion:
        try:
            async with asyncio.timeout(self._spec.timeout_ms / 1000):
                # Not `chat.completions.create`: its typed layers took half of a call's processor time.
                completion = await self._client.post(
                    "/chat/completions",
                    cast_to=object,
                    body=_body(self._spec.name, request),
                    options={"headers": {"Idempotency-Key": request.idempotency_key}},
                )
        except (TimeoutError, openai.APITimeoutError) as error:
            raise ModelError("timeout", f"no answer within {self._spec.timeout_ms} ms") from error
        except openai.APIStatusError as error:
            raise _status_error(error) from error
        except openai.APIConnectionError as error:
            raise ModelError("overloaded", f"{self._spec.endpoint}: {error.__cause__ or error}") from error
        except (openai.OpenAIError, ValueError) as error:
            raise ModelError("malformed", f"not a chat completion: {error}") from error
        return _completion(completion)


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
        raise ModelError("refused", f"by the model: {refusal}")
    if not isinstance(text, str) and not calls:
        raise ModelError("malformed", "the answer has neither text nor calls of tools")
    return Completion(text if isinstance(text, str) else None, calls, usage, cut_off)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _usage(counted: Any) -> Usage:
    """An endpoint that counts no tokens is taken at its word: none."""
    counts = ((counted or {}).get(name) for name in ("prompt_tokens", "completion_tokens"))
    return Usage(*(count if isinstance(count, int) else 0 for count in counts))


def _status_error(error: openai.APIStatusError) -> ModelError:
    status = error.status_code
    retry_after_s = _seconds(error.response.headers.get("retry-after"))
    if status == 429:
        return ModelError("rate_limited", "429", retry_after_s=retry_after_s)
    if status >= 500 or status in (408, 409):
        return ModelError("overloaded", str(status), retry_after_s=retry_after_s)
    return ModelError(_refusal(error), f"{status}: {error.message}")


def _refusal(error: openai.APIStatusError) -> ModelErrorKind:
    """Kinds of what would be refused again."""
    if error.status_code in (401, 403):
        return "auth"
    # Compatible endpoints say it in words only.
    of_context = error.code == "context_length_exceeded" or "context length" in error.message.lower()
    if error.status_code == 413 or (error.status_code == 400 and of_context):
        return "too_long"
    return "refused" if error.status_code >= 400 else "unknown"


def _seconds(header: str | None) -> float | None:
    """From now; None for what is neither seconds nor a date."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


def _pause_s(attempt: int, retry_after_s: float | None) -> float:
    """Full jitter, on top of what the endpoint asked for."""
    longest = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** (attempt - 1))
    return (retry_after_s or 0.0) + random.uniform(0, longest)  # noqa: S311 - spreads retries, keeps no secret


def _api_key(spec: ModelSpec) -> str:
    if spec.api_key_file is None:
        return "none"
    return Path(spec.api_key_file).read_text(encoding="utf-8").strip()
