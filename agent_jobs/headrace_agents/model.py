"""The client of an OpenAI-compatible endpoint: one layer of attempts, errors as :class:`ModelError`.

It is the openai package's transport without the layers above it, which took half of a call's processor
time (``docs/decisions/0016-model-calls-without-layers.md``). A call's total time is bound by the run's
deadline, which cancels it. Whether an answer fits the wanted structure is not looked at here.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx2
import openai

from headrace_agents.breaker import Breaker
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
from headrace_agents.slots import Slots
from headrace_agents.spec import ModelSpec
from headrace_agents.turns import Turns

_FIRST_BACKOFF_S = 0.25
_MAX_BACKOFF_S = 8.0
_LONGEST_WORD_S = 600.0
"""Of a ``Retry-After``: whoever asks for more is asked again after that."""
_REFUSAL_CHARACTERS = 1_000
"""Of what an endpoint says; it goes into a dead letter's header."""
_OF_THE_PROVIDER: frozenset[ModelErrorKind] = frozenset({"rate_limited", "overloaded", "timeout"})
"""More calls at once would only be more of these."""
_WORTH_ANOTHER: frozenset[ModelErrorKind] = frozenset({"rate_limited", "overloaded", "timeout", "malformed"})


@dataclass(slots=True)
class CallFigures:
    """Of this subtask since it started; an attempt is a call."""

    calls_in_flight: int = 0
    calls_answered: int = 0
    calls_limited: int = 0
    """Answered 429."""
    calls_failed: int = 0
    """In any other way."""


class OpenAiModel:
    """A :class:`ChatModel`, with at most ``max_concurrency`` calls at once.

    Make it on the event loop that uses it. Raises OSError if the file of the key can't be read.
    ``slots`` hear of what the provider can't take; each attempt waits until ``breaker`` lets it through and
    for one of ``turns``; ``http_client`` is closed with it.
    """

    def __init__(
        self,
        spec: ModelSpec,
        http_client: httpx2.AsyncClient | None = None,
        *,
        slots: Slots | None = None,
        turns: Turns | None = None,
        breaker: Breaker | None = None,
        figures: CallFigures | None = None,
    ) -> None:
        self.figures = figures or CallFigures()
        self._slots = slots
        self._turns = turns
        self._breaker = breaker or Breaker()
        self._probes: set[asyncio.Task[Completion]] = set()
        self._spec = spec
        self._url = f"{spec.endpoint.rstrip('/')}/chat/completions"
        self._headers = {"Authorization": f"Bearer {_api_key(spec)}", "Content-Type": "application/json"}
        # An attempt's timeout is kept in one place, around all of it.
        self._client = http_client or openai.DefaultAioHttpClient(limits=_limits(spec), timeout=None)
        self._free = asyncio.Semaphore(spec.max_concurrency)

    async def complete(self, request: ChatRequest) -> Completion:
        for attempt in range(1, self._spec.max_attempts + 1):
            try:
                async with self._free:
                    return await self._let_through(request)
            except ModelError as error:
                if error.kind not in _WORTH_ANOTHER or attempt == self._spec.max_attempts:
                    raise
                await asyncio.sleep(_pause_s(attempt, error.retry_after_s))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def close(self) -> None:
        for probe in self._probes:
            probe.cancel()
        await self._client.aclose()

    async def _let_through(self, request: ChatRequest) -> Completion:
        """One attempt, once the endpoint takes calls and its limit has room."""
        token = await self._turn()
        if not self._breaker.is_probe(token):
            return await self._heard(token, request)
        # What a probe finds out is not lost with the run that it was made for: that run has waited longest.
        probe = asyncio.create_task(self._heard(token, request))
        self._probes.add(probe)
        probe.add_done_callback(self._probe_ended)
        return await asyncio.shield(probe)

    def _probe_ended(self, probe: asyncio.Task[Completion]) -> None:
        self._probes.discard(probe)
        if not probe.cancelled():
            probe.exception()  # looked at, as nobody may wait for it any more

    async def _turn(self) -> int:
        """The breaker's token, when a call may be made."""
        breaker = self._breaker
        while True:
            token = await breaker.enter()
            if self._turns is None:
                return token
            try:
                await self._turns.wait()
            except BaseException:
                breaker.abandoned(token)
                raise
            if breaker.lets(token):
                return token
            breaker.abandoned(token)

    async def _heard(self, token: int, request: ChatRequest) -> Completion:
        """An attempt, of whose end the breaker hears."""
        breaker = self._breaker
        try:
            completion = await self._counted(request)
        except ModelError as error:
            if error.kind in _OF_THE_PROVIDER:
                breaker.failed(token, error.retry_after_s)
            else:
                breaker.answered(token)
            raise
        except BaseException:
            breaker.abandoned(token)
            raise
        breaker.answered(token)
        return completion

    async def _counted(self, request: ChatRequest) -> Completion:
        figures = self.figures
        figures.calls_in_flight += 1
        try:
            completion = await self._attempt(request)
        except ModelError as error:
            if error.kind == "rate_limited":
                figures.calls_limited += 1
            else:
                figures.calls_failed += 1
            if self._slots is not None and error.kind in _OF_THE_PROVIDER:
                self._slots.limited(error.retry_after_s or 0.0)
            raise
        finally:
            figures.calls_in_flight -= 1
        figures.calls_answered += 1
        return completion

    async def _attempt(self, request: ChatRequest) -> Completion:
        content = json.dumps(_body(self._spec.name, request)).encode()
        headers = {**self._headers, "Idempotency-Key": request.idempotency_key}
        try:
            async with asyncio.timeout(self._spec.timeout_ms / 1000):
                response = await self._client.post(self._url, content=content, headers=headers)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise ModelError("timeout", f"no answer within {self._spec.timeout_ms} ms") from error
        except httpx2.HTTPError as error:
            raise ModelError("overloaded", f"{self._spec.endpoint}: {error}") from error
        if not response.is_success:
            raise _status_error(response)
        try:
            return _completion(response.json())
        except ValueError as error:
            raise ModelError("malformed", f"not a chat completion: {error}") from error


def _limits(spec: ModelSpec) -> httpx2.Limits:
    """As many connections as calls: the package's own limit of 1 000 would be one that nobody declared."""
    return httpx2.Limits(max_connections=spec.max_concurrency, max_keepalive_connections=spec.max_concurrency)


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


def _status_error(response: httpx2.Response) -> ModelError:
    status = response.status_code
    retry_after_s = _seconds(response.headers.get("retry-after"))
    if status == 429:
        return ModelError("rate_limited", "429", retry_after_s=retry_after_s)
    if status >= 500 or status in (408, 409):
        return ModelError("overloaded", str(status), retry_after_s=retry_after_s)
    code, message = _error(response)
    return ModelError(_refusal(status, code, message), f"{status}: {message}")


def _error(response: httpx2.Response) -> tuple[object, str]:
    """The code, if any, and the words of a refusal, whatever the endpoint sent."""
    try:
        body = response.json()
    except ValueError:
        return None, response.text[:_REFUSAL_CHARACTERS] or response.reason_phrase
    told = body.get("error", body) if isinstance(body, dict) else body
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
        except ValueError:
            return None
    return None if math.isnan(asked) else min(max(0.0, asked), _LONGEST_WORD_S)


def _pause_s(attempt: int, retry_after_s: float | None) -> float:
    """Full jitter, on top of what the endpoint asked for."""
    longest = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** (attempt - 1))
    return (retry_after_s or 0.0) + random.uniform(0, longest)  # noqa: S311 - spreads retries, keeps no secret


def _api_key(spec: ModelSpec) -> str:
    if spec.api_key_file is None:
        return "none"
    return Path(spec.api_key_file).read_text(encoding="utf-8").strip()
