"""The vocabulary of a model's calls: messages and tools in, a completion or a :class:`ModelError` out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

ModelErrorKind = Literal[
    "rate_limited",
    "overloaded",
    "timeout",
    "refused",
    "malformed",
    "too_long",
    "auth",
    "budget",
    "unknown",
]

Bound = Literal["turns", "tokens", "time"]

C_co = TypeVar("C_co", covariant=True)


class ModelError(Exception):
    """A call to the model did not succeed, after all its attempts.

    ``kind`` says why the last attempt failed: ``rate_limited`` (429), ``overloaded`` (5xx, or no
    connection), ``timeout`` (of one attempt), ``refused`` (the request, by the endpoint or by the model),
    ``malformed`` (no completion, or an answer that does not fit the wanted structure), ``too_long`` (for
    the model's context or the endpoint's limit of an answer), ``auth``, ``budget`` (of tokens or money),
    ``unknown``.
    """

    def __init__(self, kind: ModelErrorKind, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind: ModelErrorKind = kind
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the endpoint counted them."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)


class LoopLimitError(Exception):
    """A bound of ``ctx.model(...)`` was hit before there was an answer.

    ``bound`` says which; ``turns`` and ``usage`` what was spent, the call that hit it included where its
    completion arrived.
    """

    def __init__(self, bound: Bound, message: str, *, turns: int, usage: Usage) -> None:
        super().__init__(f"{bound}: {message}; {turns} turns, {usage.total_tokens} tokens spent")
        self.bound: Bound = bound
        self.turns = turns
        self.usage = usage


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model wants called; ``arguments`` is JSON as the model wrote it, so perhaps none."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat. Raises ValueError for fields that do not belong to its role."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an assistant's message."""
    tool_call_id: str | None = None
    """The call that a tool's message answers."""

    def __post_init__(self) -> None:
        if self.tool_calls and self.role != "assistant":
            raise ValueError(f"a message with tool_calls is the assistant's, not the {self.role}'s")
        if (self.tool_call_id is not None) != (self.role == "tool"):
            raise ValueError("a tool's message, and no other, has the tool_call_id that it answers")


@dataclass(frozen=True)
class ToolSchema:
    """A tool as a model is told of it; ``parameters`` is the JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]

    @cached_property
    def canonical(self) -> str:
        return _canonical([self.name, self.description, self.parameters])


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call to the model."""

    messages: tuple[Message, ...]
    idempotency_key: str
    answer_type: type[BaseModel] | None = None
    """The structure that the answer must have, if any; see :func:`answer_schema`."""
    tools: tuple[ToolSchema, ...] = ()
    temperature: float | None = None
    max_output_tokens: int | None = None
    key: bytes = b""
    """The business key that it is made for: calls that wait go round these."""

    def inputs(self) -> bytes:
        """The same bytes for the same question, in every process. Neither of the keys is part of it."""
        messages = [
            (m.role, m.content, [(c.id, c.name, c.arguments) for c in m.tool_calls], m.tool_call_id)
            for m in self.messages
        ]
        answer = None if self.answer_type is None else _canonical_answer(self.answer_type)
        tools = [tool.canonical for tool in self.tools]
        return _canonical([messages, answer, tools, self.temperature, self.max_output_tokens]).encode()


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model said to one request: text, calls of tools, or both."""

    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    cut_off: bool = False
    """It stopped at a limit of tokens: neither its text nor its calls are whole."""

    @property
    def message(self) -> Message:
        return Message("assistant", self.text or "", self.tool_calls)

    def encode(self) -> bytes:
        calls = [(call.id, call.name, call.arguments) for call in self.tool_calls]
        fields = {
            "text": self.text,
            "tool_calls": calls,
            "usage": (self.usage.input_tokens, self.usage.output_tokens),
            "cut_off": self.cut_off,
        }
        return _canonical(fields).encode()

    @staticmethod
    def decode(data: bytes) -> Completion:
        """What :meth:`encode` made. Raises ValueError, KeyError or TypeError for anything else."""
        fields = json.loads(data)
        return Completion(
            fields["text"],
            tuple(ToolCall(*call) for call in fields["tool_calls"]),
            Usage(*fields["usage"]),
            fields["cut_off"],
        )


@dataclass(frozen=True, slots=True)
class Reply(Generic[C_co]):
    """``content`` is text, or an instance of the answer type that was asked for."""

    content: C_co
    usage: Usage = Usage()
    """Of all turns."""
    turns: int = 1
    """Calls to the model."""
    messages: tuple[Message, ...] = ()
    """The whole chat, from the prompt to this reply: add to it to go on."""


class ChatModel(Protocol):
    """Whatever answers calls: the client of an endpoint, or a script in a test."""

    async def complete(self, request: ChatRequest) -> Completion:
        """Raises ModelError when the call did not succeed; no other error."""

    async def close(self) -> None: ...


@lru_cache(maxsize=1024)
def answer_schema(answer_type: type[BaseModel]) -> Mapping[str, Any]:
    """The JSON schema that an answer must fit. Made once: do not change it."""
    return answer_type.model_json_schema()


@lru_cache(maxsize=1024)
def _canonical_answer(answer_type: type[BaseModel]) -> str:
    return _canonical([answer_type.__name__, answer_schema(answer_type)])


_canonical = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
"""ASCII: text may hold halves of surrogate pairs, which no UTF-8 can."""
