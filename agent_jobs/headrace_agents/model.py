"""The client of an OpenAI-compatible endpoint: one layer of attempts, errors as :class:`ModelError`.

The openai package's own retries are off. A call's total time is bound by the run's deadline, which
cancels it. An answer that does not fit the wanted structure is a failed attempt.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import httpx2
import openai
from pydantic import BaseModel, ValidationError

from headrace_agents.chat import ChatRequest, ModelError, Reply, Usage
from headrace_agents.spec import ModelSpec

_FIRST_BACKOFF_S = 0.25
_MAX_BACKOFF_S = 8.0


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

    async def complete(self, request: ChatRequest) -> Reply[str | BaseModel]:
        for attempt in range(1, self._spec.max_attempts + 1):
            try:
                async with self._free:
                    return await self._attempt(request)
            except ModelError as error:
                if error.kind == "refused" or attempt == self._spec.max_attempts:
                    raise
                await asyncio.sleep(_pause_s(attempt, error.retry_after_s))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def close(self) -> None:
        await self._client.close()

    async def _attempt(self, request: ChatRequest) -> Reply[str | BaseModel]:
        try:
            async with asyncio.timeout(self._spec.timeout_ms / 1000):
                completion = await self._client.chat.completions.create(
                    model=self._spec.name,
                    messages=[{"role": m.role, "content": m.content} for m in request.messages],  # type: ignore[misc]
                    extra_headers={"Idempotency-Key": request.idempotency_key},
                    **_options(request),
                )
        except (TimeoutError, openai.APITimeoutError) as error:
            raise ModelError("timeout", f"no answer within {self._spec.timeout_ms} ms") from error
        except openai.APIStatusError as error:
            raise _status_error(error) from error
        except openai.APIConnectionError as error:
            raise ModelError("unavailable", f"{self._spec.endpoint}: {error.__cause__ or error}") from error
        except (openai.OpenAIError, ValueError) as error:
            raise ModelError("malformed", f"not a chat completion: {error}") from error
        return _reply(request, completion)


def _options(request: ChatRequest) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if request.temperature is not None:
        options["temperature"] = request.temperature
    if request.answer_type is not None:
        schema = {"name": request.answer_type.__name__, "schema": request.answer_type.model_json_schema()}
        options["response_format"] = {"type": "json_schema", "json_schema": schema}
    return options


def _reply(request: ChatRequest, completion: Any) -> Reply[str | BaseModel]:
    """``completion`` is what the endpoint sent, so its parts may be of any type."""
    try:
        text = completion.choices[0].message.content
        usage = completion.usage
    except (AttributeError, IndexError, TypeError) as error:
        raise ModelError("malformed", "not a chat completion") from error
    if not isinstance(text, str):
        raise ModelError("malformed", "the answer has no text")
    counted = Usage() if usage is None else Usage(usage.prompt_tokens, usage.completion_tokens)
    if request.answer_type is None:
        return Reply(text, counted)
    try:
        return Reply(request.answer_type.model_validate_json(text), counted)
    except ValidationError as error:
        raise ModelError("malformed", str(error)) from error


def _status_error(error: openai.APIStatusError) -> ModelError:
    status = error.status_code
    retry_after_s = _seconds(error.response.headers.get("retry-after"))
    if status == 429:
        return ModelError("rate_limited", "429", retry_after_s=retry_after_s)
    if status >= 500 or status in (408, 409):
        return ModelError("unavailable", str(status), retry_after_s=retry_after_s)
    return ModelError("refused", f"{status}: {error.message}")


def _seconds(header: str | None) -> float | None:
    try:
        return None if header is None else max(0.0, float(header))
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
