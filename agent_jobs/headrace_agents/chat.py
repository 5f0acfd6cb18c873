"""What an agent sees of a model: messages in, a reply or a :class:`ModelError` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

ModelErrorKind = Literal["rate_limited", "unavailable", "timeout", "refused", "malformed"]

A = TypeVar("A", bound=BaseModel)
C_co = TypeVar("C_co", covariant=True)


class ModelError(Exception):
    """A call to the model did not succeed, after all its attempts.

    ``kind`` says why the last attempt failed: ``rate_limited`` (429), ``unavailable`` (5xx, or no
    connection), ``timeout`` (of one attempt), ``refused`` (any other 4xx: not tried again),
    ``malformed`` (an answer that does not fit the wanted structure).
    """

    def __init__(self, kind: ModelErrorKind, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind: ModelErrorKind = kind
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the endpoint counted them."""

    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call; ``answer_type`` is the structure that the answer must have, if any."""

    messages: tuple[Message, ...]
    idempotency_key: str
    answer_type: type[BaseModel] | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Reply(Generic[C_co]):
    """``content`` is text, or an instance of the answer type that was asked for."""

    content: C_co
    usage: Usage = Usage()


class ChatModel(Protocol):
    """Whatever answers calls: the client of an endpoint, or a script in a test."""

    async def complete(self, request: ChatRequest) -> Reply[str | BaseModel]:
        """Raises ModelError when the call did not succeed; no other error."""

    async def close(self) -> None: ...


class KeyOfCall(Protocol):
    """Gives the idempotency key of a run's n-th call, from 0."""

    def __call__(self, call: int, /) -> str: ...


class RunModel:
    """The model as one run sees it: numbers its calls, so that each has its idempotency key."""

    def __init__(self, model: ChatModel | None, key_of_call: KeyOfCall) -> None:
        self._model = model
        self._key_of_call = key_of_call
        self.calls = 0

    async def chat(self, messages: Sequence[Message], *, temperature: float | None = None) -> Reply[str]:
        """Asks for text. Raises ModelError."""
        reply = await self._complete(messages, None, temperature)
        return Reply(str(reply.content), reply.usage)

    async def ask(
        self, messages: Sequence[Message], answer_type: type[A], *, temperature: float | None = None
    ) -> Reply[A]:
        """Asks for an answer of the given structure (a JSON schema is sent). Raises ModelError."""
        reply = await self._complete(messages, answer_type, temperature)
        if not isinstance(reply.content, answer_type):
            raise ModelError("malformed", f"the model gave {type(reply.content).__name__}")
        return Reply(reply.content, reply.usage)

    async def _complete(
        self, messages: Sequence[Message], answer_type: type[BaseModel] | None, temperature: float | None
    ) -> Reply[str | BaseModel]:
        if self._model is None:
            raise ModelError("refused", "the agent's declaration has no model")
        key = self._key_of_call(self.calls)
        self.calls += 1
        return await self._model.complete(ChatRequest(tuple(messages), key, answer_type, temperature))
