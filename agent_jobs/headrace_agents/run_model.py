"""What ``ctx.model`` is: a chat with tools until there is an answer or a bound is hit, every call a step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar, overload

from pydantic import BaseModel, ValidationError

from headrace_agents.chat import (
    Bound,
    Caller,
    CallReport,
    ChatModel,
    ChatRequest,
    Completion,
    LoopLimitError,
    Message,
    ModelError,
    Reply,
    ToolCall,
    Usage,
)
from headrace_agents.step_protocol import Steps
from headrace_agents.together import together
from headrace_agents.tools import Tool, what_is_wrong

A = TypeVar("A", bound=BaseModel)
Function = Callable[..., object]


class RunModel:
    """The model as one run sees it. ``calls`` counts its completions, made or read back."""

    def __init__(
        self,
        model: ChatModel | None,
        steps: Steps,
        caller: Caller | None = None,
        *,
        redact: Callable[[str], str] | None = None,
        logs_prompts: bool = False,
    ) -> None:
        self._model = model
        self._steps = steps
        self._caller = caller
        self._redact = redact
        self._logs_prompts = logs_prompts
        self.calls = 0

    @overload
    def __call__(
        self,
        prompt: str | Sequence[Message],
        *,
        answer: None = None,
        tools: Sequence[Function] = (),
        temperature: float | None = None,
        max_turns: int = 8,
        max_tokens: int | None = None,
        timeout: timedelta | None = None,
        name: str = "model",
    ) -> Coroutine[Any, Any, Reply[str]]: ...

    @overload
    def __call__(
        self,
        prompt: str | Sequence[Message],
        *,
        answer: type[A],
        tools: Sequence[Function] = (),
        temperature: float | None = None,
        max_turns: int = 8,
        max_tokens: int | None = None,
        timeout: timedelta | None = None,
        name: str = "model",
    ) -> Coroutine[Any, Any, Reply[A]]: ...

    def __call__(  # noqa: PLR0913 - what one call may say, each by name
        self,
        prompt: str | Sequence[Message],
        *,
        answer: type[BaseModel] | None = None,
        tools: Sequence[Function] = (),
        temperature: float | None = None,
        max_turns: int = 8,
        max_tokens: int | None = None,
        timeout: timedelta | None = None,
        name: str = "model",
    ) -> Coroutine[Any, Any, Reply[Any]]:
        """Asks the model, calls the tools that it wants (those of one turn concurrently) and tells it their
        results, until it answers: with text, or with an ``answer`` of the given structure.

        Bounds, over all turns: ``max_turns`` calls to the model; ``max_tokens`` of input and output, which
        also limits what each call may put out (an answer that arrived is given whatever it took);
        ``timeout``. An answer that does not fit its structure is sent back once, within the bounds.

        Completions and results of tools are steps of the run: what finished before a failure is not done
        again. ``name`` is the step's; calls that are made concurrently need names of their own.

        Raises:
            LoopLimitError: a bound was hit.
            ModelError: a call did not succeed, or the answer did not fit twice (``malformed``).
            TypeError: a function that can't be a tool, or two tools of one name.
            ValueError: a bound that lets nothing through.
        """
        if max_turns < 1 or (max_tokens is not None and max_tokens < 1):
            raise ValueError(f"max_turns {max_turns} and max_tokens {max_tokens} must be above 0")
        messages = [Message("user", prompt)] if isinstance(prompt, str) else list(prompt)
        known = _by_name(tools)
        schemas = tuple(tool.schema for tool in known.values())
        request = ChatRequest((), "", answer, schemas, temperature)
        chat = _Chat(self._asked, request, messages, _Tools(self._steps, known), max_turns, max_tokens, name)
        return chat.reply_within(timeout)

    async def _asked(self, name: str, request: ChatRequest) -> Completion:
        """One call to the model, as a step. Raises ModelError."""
        model = self._model
        if model is None:
            raise ModelError("refused", "the agent's declaration has no model")

        redact = self._redact
        request = _redacted(request, redact)
        report = CallReport()
        answers: list[str | None] = []

        async def execute(idempotency_key: str) -> bytes:
            asked = replace(request, idempotency_key=idempotency_key, caller=self._caller, report=report)
            completion = await model.complete(asked)
            answers.append(completion.text)
            report.model, report.cached = completion.model or report.model, completion.cached
            return completion.encode()

        def about() -> dict[str, Any]:
            told: dict[str, Any] = asdict(report)
            if self._logs_prompts:
                told["prompt"] = [asdict(message) for message in request.messages]
                answer = answers[0] if answers else None
                told["answer"] = answer if answer is None or redact is None else redact(answer)
            return told

        self.calls += 1
        data = await self._steps.run(name, request.inputs(), execute, kind="model", about=about)
        return Completion.decode(data)


def _redacted(request: ChatRequest, redact: Callable[[str], str] | None) -> ChatRequest:
    """All that leaves the process of what people wrote: messages, and arguments of tools in them."""
    if redact is None:
        return request
    messages = tuple(
        replace(
            message,
            content=redact(message.content),
            tool_calls=tuple(replace(call, arguments=redact(call.arguments)) for call in message.tool_calls),
        )
        for message in request.messages
    )
    return replace(request, messages=messages)


class _Tools:
    """The tools of one chat."""

    def __init__(self, steps: Steps, by_name: Mapping[str, Tool]) -> None:
        self._steps = steps
        self._by_name = by_name

    async def results(self, calls: Sequence[ToolCall]) -> list[Message]:
        """In the order of the calls. When one raises the others are cancelled, and it is raised."""
        return await together([self._result(call) for call in calls])

    async def _result(self, call: ToolCall) -> Message:
        tool = self._by_name.get(call.name)
        if tool is None:
            there_are = ", ".join(self._by_name) or "none"
            return Message(
                "tool", f"error: there is no tool {call.name!r}, only: {there_are}", tool_call_id=call.id
            )

        async def execute(idempotency_key: str) -> bytes:
            return (await tool.call(call.arguments, idempotency_key)).encode()

        inputs = call.arguments.encode(errors="backslashreplace")
        told = await self._steps.run(f"tool:{call.name}", inputs, execute, kind="tool")
        return Message("tool", told.decode(), tool_call_id=call.id)


@dataclass(slots=True)
class _Chat:
    """One call of ``ctx.model``: what was said so far and what it took."""

    ask: Callable[[str, ChatRequest], Awaitable[Completion]]
    request: ChatRequest
    """Without its messages."""
    messages: list[Message]
    tools: _Tools
    max_turns: int
    max_tokens: int | None
    name: str
    turns: int = 0
    usage: Usage = field(default_factory=Usage)

    async def reply_within(self, timeout: timedelta | None) -> Reply[Any]:  # noqa: ASYNC109 - a bound like the others
        clock = asyncio.timeout(None if timeout is None else timeout.total_seconds())
        try:
            async with clock:
                return await self._reply()
        except TimeoutError as error:
            if clock.expired():
                raise self._limit("time", f"no answer within {timeout}") from error
            raise

    async def _reply(self) -> Reply[Any]:
        repaired = False
        while True:
            completion = await self._turn()
            if completion.tool_calls:
                self._check_bounds()
                self.messages += await self.tools.results(completion.tool_calls)
                continue
            try:
                content = self._content(completion.text or "")
            except ValidationError as error:
                wrong = what_is_wrong(error)
                if repaired or self._bound_hit() is not None:
                    raise ModelError("malformed", wrong) from error
                repaired = True
                self.messages.append(Message("user", _REPAIR.format(wrong)))
                continue
            return Reply(content, self.usage, self.turns, tuple(self.messages))

    def _limit(self, bound: Bound, message: str) -> LoopLimitError:
        return LoopLimitError(bound, message, turns=self.turns, usage=self.usage)

    async def _turn(self) -> Completion:
        left = None if self.max_tokens is None else self.max_tokens - self.usage.total_tokens
        request = replace(self.request, messages=tuple(self.messages), max_output_tokens=left)
        completion = await self.ask(self.name, request)
        self.turns += 1
        self.usage += completion.usage
        self.messages.append(completion.message)
        if completion.cut_off and left is not None:
            raise self._limit("tokens", f"the last turn was cut off at the {left} that were left")
        if completion.cut_off:
            raise ModelError("too_long", "the answer was cut off at the endpoint's limit")
        return completion

    def _content(self, text: str) -> str | BaseModel:
        kind = self.request.answer_type
        return text if kind is None else kind.model_validate_json(text)

    def _check_bounds(self) -> None:
        """Before tools are called: what they do would be for nothing."""
        bound = self._bound_hit()
        if bound is not None:
            allowed = self.max_turns if bound == "turns" else self.max_tokens
            raise self._limit(bound, f"no answer within {allowed}")

    def _bound_hit(self) -> Bound | None:
        if self.turns >= self.max_turns:
            return "turns"
        if self.max_tokens is not None and self.usage.total_tokens >= self.max_tokens:
            return "tokens"
        return None


_REPAIR = "That does not fit the wanted structure: {}. Answer again, with nothing but JSON that fits it."


def _by_name(functions: Sequence[Function]) -> Mapping[str, Tool]:
    tools: dict[str, Tool] = {}
    for function in functions:
        tool = Tool.of(function)
        if tool.schema.name in tools:
            raise TypeError(f"two tools are called {tool.schema.name}")
        tools[tool.schema.name] = tool
    return tools
