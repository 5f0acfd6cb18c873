"""The part of OpenAI's chat interface that is served: what comes in, what goes out, what is refused."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headrace_agents.scripted_model.settings import Settings, Tokens, reasons

MODEL = "scripted-triage"
FINGERPRINT = "scripted"


class RefusedError(Exception):
    """A request that gets an OpenAI-style error body."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.headers = headers or {}


class _Received(BaseModel):
    # Clients send many more fields than matter here; those are left alone, as other servers do.
    model_config = ConfigDict(frozen=True, extra="ignore")


class ContentPart(_Received):
    type: str
    text: str = ""


class Message(_Received):
    role: str
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return " ".join(part.text for part in self.content)
        return self.content or ""


class NamedSchema(_Received):
    definition: dict[str, Any] = Field(default_factory=dict, alias="schema")


class ResponseFormat(_Received):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema = NamedSchema()


class Function(_Received):
    name: str
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object"})


class Tool(_Received):
    type: Literal["function"]
    function: Function


class ToolChoice(_Received):
    function: Function


class ChatRequest(_Received):
    model: str
    messages: list[Message] = Field(min_length=1)
    response_format: ResponseFormat = ResponseFormat(type="text")
    tools: list[Tool] = Field(default_factory=list)
    tool_choice: Literal["none", "auto", "required"] | ToolChoice = "auto"
    max_tokens: int | None = Field(default=None, ge=1)
    stream: bool | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the rules say: text, the arguments of a call to a tool, or the words of a refusal."""

    text: str
    tool: str | None = None
    declined: bool = False
    cut_off: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int


def check_model(name: str) -> None:
    """Raises :class:`RefusedError` (404) for any model but the one there is."""
    if name != MODEL:
        message = f"model {name!r} does not exist; there is {MODEL!r}"
        raise RefusedError(404, message, code="model_not_found")


def parse(body: bytes) -> ChatRequest:
    """Raises :class:`RefusedError` (400, 404) for what is no request or asks for what is not served."""
    try:
        chat = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise RefusedError(400, reasons(error)) from None
    check_model(chat.model)
    if chat.stream or (chat.n or 1) != 1:
        raise RefusedError(400, "the scripted model gives one answer, not streamed: leave out stream and n")
    return chat


class EmbeddingRequest(_Received):
    model: str
    input: str | list[str] = Field(min_length=1)
    dimensions: int = Field(default=8, ge=1, le=4_096)

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


def parse_embedding(body: bytes) -> EmbeddingRequest:
    """Raises :class:`RefusedError` (400, 404) for what is no request."""
    try:
        asked = EmbeddingRequest.model_validate_json(body)
    except ValidationError as error:
        raise RefusedError(400, reasons(error)) from None
    check_model(asked.model)
    return asked


def embedding_usage(asked: EmbeddingRequest, tokens: Tokens) -> Usage:
    """A token is a word, unless ``tokens`` says otherwise."""
    if (prompt := tokens.prompt) is None:
        prompt = sum(len(text.split()) for text in asked.texts)
    return Usage(prompt, 0)


def embeddings(vectors: list[list[float]], used: Usage) -> dict[str, Any]:
    """The body of an embedding ``list``."""
    return {
        "object": "list",
        "model": MODEL,
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": used.prompt_tokens, "total_tokens": used.prompt_tokens},
    }


def prompt_tokens(chat: ChatRequest, tokens: Tokens) -> int:
    """A token is a word, unless ``tokens`` says otherwise."""
    if tokens.prompt is not None:
        return tokens.prompt
    return sum(len(message.text.split()) for message in chat.messages)


def cut(chat: ChatRequest, reply: Reply) -> Reply:
    """The reply within the request's ``max_tokens``, of which each is a word."""
    words = reply.text.split()
    if chat.max_tokens is None or len(words) <= chat.max_tokens:
        return reply
    return replace(reply, text=" ".join(words[: chat.max_tokens]), cut_off=True)


def check_prompt(texts: Iterable[str], tokens: int, settings: Settings) -> None:
    """Raises :class:`RefusedError` (400) for a prompt that is too long or has a banned word."""
    most = settings.context_tokens
    if most is not None and tokens > most:
        message = f"the maximum context length is {most} tokens; the prompt has {tokens}"
        raise RefusedError(400, message, code="context_length_exceeded")
    if any(word in text for text in texts for word in settings.banned_words):
        raise RefusedError(400, "the prompt has a banned word", code="content_filter")


def check_key(header: str | None, key: str | None) -> None:
    """Raises :class:`RefusedError` (401) for another bearer token than the key, if there is one."""
    if key is not None and header != f"Bearer {key}":
        raise RefusedError(401, "the API key is not the right one", code="invalid_api_key")


def usage(chat: ChatRequest, reply: Reply, tokens: Tokens) -> Usage:
    """A token is a word, unless ``tokens`` says otherwise."""
    prompt = prompt_tokens(chat, tokens)
    if (completion := tokens.completion) is None:
        completion = len(reply.text.split())
    return Usage(prompt, completion)


def completion(number: str, reply: Reply, used: Usage) -> dict[str, Any]:
    """The body of a ``chat.completion``; ``number`` makes its ids."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    finish_reason = "stop"
    if reply.declined:
        message["content"], message["refusal"] = None, reply.text
    if reply.tool is not None:
        finish_reason = "tool_calls"
        call = {"name": reply.tool, "arguments": reply.text}
        message["content"] = None
        message["tool_calls"] = [{"id": f"call_{number}", "type": "function", "function": call}]
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "system_fingerprint": FINGERPRINT,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": "length" if reply.cut_off else finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": used.prompt_tokens,
            "completion_tokens": used.completion_tokens,
            "total_tokens": used.prompt_tokens + used.completion_tokens,
        },
    }


def error_body(message: str, kind: str, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def model_body() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "headrace"}
