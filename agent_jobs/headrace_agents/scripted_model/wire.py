"""The part of OpenAI's chat interface that is served: what comes in, what goes out, what is refused."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headrace_agents.scripted_model.settings import Tokens, reasons

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
    stream: bool | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the rules say: text, or the arguments of a call to a tool."""

    text: str
    tool: str | None = None


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


def usage(chat: ChatRequest, reply: Reply, tokens: Tokens) -> Usage:
    """A token is a word, unless ``tokens`` says otherwise."""
    if (prompt := tokens.prompt) is None:
        prompt = sum(len(message.text.split()) for message in chat.messages)
    if (completion := tokens.completion) is None:
        completion = len(reply.text.split())
    return Usage(prompt, completion)


def completion(number: str, reply: Reply, used: Usage) -> dict[str, Any]:
    """The body of a ``chat.completion``; ``number`` makes its ids."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.tool is not None:
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
                "finish_reason": "stop" if reply.tool is None else "tool_calls",
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
