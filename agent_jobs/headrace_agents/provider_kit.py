"""What a new provider must pass: its author subclasses a kit in a module of tests and pytest runs them.

A provider is tried over real HTTP against a stand-in of its service on loopback, which runs on a loop and in
a thread of its own::

    class TestMyProvider(ChatProviderKit):
        @asynccontextmanager
        async def service(self) -> AsyncIterator[Service]:
            async with my_stand_in() as service:
                yield service

        def provider(self, service: Service) -> ChatModel:
            return MyProvider(spec_of(service, key=KEY, timeout_ms=TIMEOUT_MS, max_concurrency=MOST))

The stand-in does what its :data:`Behaviour` says. It calls a tool whose name the last user's message has,
once, and gives a structured answer where one is asked for, as the scripted model does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from headrace_agents.chat import (
    ChatModel,
    ChatRequest,
    Completion,
    Message,
    ModelError,
    ModelErrorKind,
    ToolCall,
    ToolSchema,
)
from headrace_agents.embedding import EmbeddingModel, EmbeddingRequest, Embeddings
from headrace_agents.model.endpoint import Provider

KEY = "key-of-the-kit-0123456789"
"""The secret that the provider is made with; calls without it are answered as with a wrong key."""
TIMEOUT_MS = 1_000
"""Of an attempt, that the provider is made with."""
MOST = 2
"""Calls in flight, that the provider is made with."""
RETRY_AFTER_S = 10
"""The longest that a stand-in may ask for."""

Behaviour = Literal[
    "answers",
    "auth",
    "declined",
    "garbled",
    "hangs",
    "overloaded",
    "rate_limited",
    "rate_limited_until",
    "refused",
    "too_long",
]
"""What becomes of every call: an answer; another key is wanted; the model itself declines; HTML in place of
an answer; nothing at all; the service fails for now; too many requests, with a ``Retry-After`` of at most
``RETRY_AFTER_S`` seconds, or with that as a date; the request is wrong; the prompt is too long."""

_SOON_S = 10.0
"""For what takes a moment: a machine may be slow."""
_HEARTBEAT_S = 0.01
_REQUEST_KEY = "idempotency-key-of-the-kit"

M = TypeVar("M", bound=Provider)
R = TypeVar("R")


class Service(Protocol):
    """A stand-in of what the provider calls; used on the loop that serves it."""

    async def behave(self, how: Behaviour) -> None:
        """From now on."""

    async def calls(self) -> int:
        """That came in so far, answered or not."""

    async def keys(self) -> Collection[str | None]:
        """Idempotency keys of the calls that were answered; None for one without."""


class ProviderKit(ABC, Generic[M]):
    """What is the same for every provider."""

    @abstractmethod
    def service(self) -> AbstractAsyncContextManager[Service]:
        """Serves while the block runs."""

    @abstractmethod
    def provider(self, service: Service) -> M:
        """Of the service, with ``KEY``, ``TIMEOUT_MS`` and ``MOST``; made on the loop that uses it."""

    @abstractmethod
    async def ask(self, provider: M) -> Completion | Embeddings:
        """Any question that is answered."""

    failures: ClassVar[dict[Behaviour, ModelErrorKind]] = {
        "auth": "auth",
        "garbled": "malformed",
        "overloaded": "overloaded",
        "rate_limited": "rate_limited",
        "refused": "refused",
        "too_long": "too_long",
    }

    def test_each_failure_has_its_kind(self) -> None:
        async def failing(provider: M, service: _Served) -> None:
            for how, kind in self.failures.items():
                error = await self._failed(provider, service, how)
                _check(error.kind == kind, f"{how} raised {error!r}, not {kind}")

        self._tried(failing)

    def test_a_service_that_is_not_there_is_overloaded(self) -> None:
        async def asking(provider: M, service: _Served) -> None:
            await asyncio.to_thread(service.stop)
            error = await self._error(provider)
            _check(error.kind == "overloaded", f"raised {error!r}, not overloaded")

        self._tried(asking)

    def test_retry_after_is_told_whether_it_is_seconds_or_a_date(self) -> None:
        async def failing(provider: M, service: _Served) -> None:
            for how in ("rate_limited", "rate_limited_until"):
                asked_s = (await self._failed(provider, service, how)).retry_after_s
                _check(asked_s is not None and 0 < asked_s <= RETRY_AFTER_S + 1, f"{how}: {asked_s} s")
            asked_s = (await self._failed(provider, service, "refused")).retry_after_s
            _check(asked_s is None, f"refused: {asked_s} s, where nothing was asked for")

        self._tried(failing)

    def test_a_failure_is_one_attempt_and_the_next_call_is_answered(self) -> None:
        async def failing(provider: M, service: _Served) -> None:
            for how in ("overloaded", "rate_limited"):
                before = await service.calls()
                await self._failed(provider, service, how)
                made = await service.calls() - before
                _check(made == 1, f"{how}: {made} calls were made, not 1: attempts are the layer's")
                await service.behave("answers")
                await self.ask(provider)

        self._tried(failing)

    def test_the_idempotency_key_is_sent(self) -> None:
        async def asking(provider: M, service: _Served) -> None:
            await self.ask(provider)
            keys = await service.keys()
            _check(keys == {_REQUEST_KEY}, f"the service got {keys}")

        self._tried(asking)

    def test_a_call_that_hangs_holds_up_nothing_else(self) -> None:
        async def hanging(provider: M, service: _Served) -> None:
            await service.behave("hangs")
            call = asyncio.ensure_future(self.ask(provider))
            until, longest = time.monotonic() + TIMEOUT_MS / 2_000, 0.0
            while (began := time.monotonic()) < until:
                await asyncio.sleep(_HEARTBEAT_S)
                longest = max(longest, time.monotonic() - began)
            _check(not call.done(), "a call that hangs was over before its time-out")
            _check(longest < TIMEOUT_MS / 4_000, f"the loop stood still for {longest:.2f} s")
            await _cancelled(call)

        self._tried(hanging)

    def test_cancelled_calls_end_at_once_and_leave_nothing_behind(self) -> None:
        async def cancelling(provider: M, service: _Served) -> None:
            threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
            await service.behave("hangs")
            before = await service.calls()
            calls = [asyncio.ensure_future(self.ask(provider)) for _ in range(5 * MOST)]
            async with asyncio.timeout(TIMEOUT_MS / 2_000):
                while await service.calls() < before + MOST:  # noqa: ASYNC110 - of another loop
                    await asyncio.sleep(_HEARTBEAT_S)
            began = time.monotonic()
            await asyncio.gather(*(_cancelled(call) for call in calls))
            took_s = time.monotonic() - began
            _check(took_s < TIMEOUT_MS / 2_000, f"being cancelled took {took_s:.2f} s")
            left = set(threading.enumerate()) - threads
            _check(len(left) <= MOST, f"{left} were left, of at most {MOST} threads")
            await service.behave("answers")
            async with asyncio.timeout(_SOON_S):
                await self.ask(provider)
            await provider.close()
            await _until(lambda: set(threading.enumerate()) <= threads, "threads end")
            await _until(lambda: asyncio.all_tasks() <= tasks, "tasks end")

        self._tried(cancelling)

    def test_closing_ends_connections(self) -> None:
        async def asking(provider: M, _service: _Served) -> None:
            before = _open_files()
            await asyncio.gather(*(self.ask(provider) for _ in range(MOST)))
            await provider.close()
            await _until(lambda: _open_files() <= before, "connections end")

        self._tried(asking)

    def test_the_key_is_in_no_error_and_no_log(self) -> None:
        async def failing(provider: M, service: _Served) -> None:
            await self.ask(provider)
            for how in self.failures:
                error = await self._failed(provider, service, how)
                told = "".join(traceback.format_exception(error)) + repr(error.__dict__)
                _check(KEY not in told, f"{how}: the key is in the error")
                _check(KEY not in repr(provider), "the key is in the provider's repr")

        with _logged() as lines:
            self._tried(failing)
        _check(not any(KEY in line for line in lines), "the key is in the log")

    def _tried(self, trial: Callable[[M, _Served], Coroutine[Any, Any, None]]) -> None:
        served = _Served(self.service())

        async def run() -> None:
            provider = self.provider(served.service)
            try:
                await trial(provider, served)
            finally:
                await provider.close()

        with served:
            asyncio.run(run())

    async def _failed(self, provider: M, service: _Served, how: Behaviour) -> ModelError:
        await service.behave(how)
        return await self._error(provider)

    async def _error(self, provider: M) -> ModelError:
        try:
            given = await self.ask(provider)
        except ModelError as error:
            return error
        raise AssertionError(f"no ModelError was raised; the provider gave {given!r}")


class KitAnswer(BaseModel):
    """The structure that the kit asks for."""

    queue: Literal["billing", "technical", "account", "general"]
    urgency: Literal["low", "normal", "high"]


_LOOK_UP = ToolSchema(
    "lookup",
    "Looks up an order.",
    {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]},
)


class ChatProviderKit(ProviderKit[ChatModel]):
    """Of chat models."""

    failures = ProviderKit.failures | {"declined": "refused"}

    async def ask(self, provider: ChatModel) -> Completion:
        return await provider.complete(_request(Message("user", "The invoice was paid twice.")))

    def test_text_comes_back_with_what_it_took(self) -> None:
        async def asking(provider: ChatModel, _service: _Served) -> None:
            completion = await self.ask(provider)
            _check(bool(completion.text), f"{completion!r} has no text")
            _check(not completion.tool_calls, f"{completion!r} calls a tool that was not given")
            used = completion.usage
            _check(used.input_tokens > 0 and used.output_tokens > 0, f"{used!r}: tokens are not counted")

        self._tried(asking)

    def test_a_chat_of_several_turns_is_taken(self) -> None:
        async def asking(provider: ChatModel, _service: _Served) -> None:
            said = await self.ask(provider)
            request = _request(
                Message("system", "Be short."),
                Message("user", "The invoice was paid twice."),
                said.message,
                Message("user", "And now?"),
            )
            _check(bool((await provider.complete(request)).text), "the second turn has no answer")

        self._tried(asking)

    def test_a_structured_answer_fits(self) -> None:
        async def asking(provider: ChatModel, _service: _Served) -> None:
            request = _request(Message("user", "The invoice was paid twice."), answer_type=KitAnswer)
            completion = await provider.complete(request)
            KitAnswer.model_validate_json(completion.text or "")
            _check(not completion.tool_calls, f"{completion!r} calls a tool that was not given")

        self._tried(asking)

    def test_a_tool_is_called_and_its_result_is_taken(self) -> None:
        async def asking(provider: ChatModel, _service: _Served) -> None:
            text = (await self._after_a_tool(provider)).text
            _check(bool(text), "there is no answer after the tool's result")

        self._tried(asking)

    def test_a_structured_answer_comes_after_the_calls_of_tools(self) -> None:
        async def asking(provider: ChatModel, _service: _Served) -> None:
            completion = await self._after_a_tool(provider, answer_type=KitAnswer)
            KitAnswer.model_validate_json(completion.text or "")

        self._tried(asking)

    def test_calls_of_tools_in_a_chat_are_taken_where_no_tool_is_given_any_more(self) -> None:
        async def asking(provider: ChatModel, _service: _Served) -> None:
            call = ToolCall("call-1", "lookup", '{"order": 1}')
            request = _request(
                Message("user", "Where is it?"),
                Message("assistant", "", (call,)),
                Message("tool", "on its way", tool_call_id="call-1"),
                Message("user", "Thank you."),
            )
            _check(bool((await provider.complete(request)).text), "there is no answer")

        self._tried(asking)

    def test_an_answer_that_stops_at_the_limit_of_tokens_is_marked(self) -> None:
        async def asking(provider: ChatModel, _service: _Served) -> None:
            request = _request(Message("user", "The invoice was paid twice."), max_output_tokens=1)
            _check((await provider.complete(request)).cut_off, "an answer of 1 token is not marked")
            _check(not (await self.ask(provider)).cut_off, "a whole answer is marked")

        self._tried(asking)

    async def _after_a_tool(self, provider: ChatModel, **options: Any) -> Completion:
        question = Message("user", "Use lookup for my order.")
        completion = await provider.complete(_request(question, tools=(_LOOK_UP,), **options))
        names = [call.name for call in completion.tool_calls]
        _check(names == ["lookup"], f"{names} were called, not lookup alone")
        (call,) = completion.tool_calls
        _check("order" in json.loads(call.arguments), f"{call!r} lacks the order")
        chat = (question, completion.message, Message("tool", "on its way", tool_call_id=call.id))
        return await provider.complete(_request(*chat, tools=(_LOOK_UP,), **options))


class EmbeddingProviderKit(ProviderKit[EmbeddingModel]):
    """Of embedding models."""

    async def ask(self, provider: EmbeddingModel) -> Embeddings:
        return await provider.embed(EmbeddingRequest(("The invoice was paid twice.",), _REQUEST_KEY))

    def test_each_text_has_its_vector(self) -> None:
        async def asking(provider: EmbeddingModel, _service: _Served) -> None:
            texts = ("an invoice", "a crash", "an invoice")[: provider.most_texts]
            made = [(await provider.embed(EmbeddingRequest(texts, _REQUEST_KEY))).vectors]
            made += [
                (await provider.embed(EmbeddingRequest((text,), _REQUEST_KEY))).vectors for text in texts
            ]
            alone = tuple(vector for vectors in made[1:] for vector in vectors)
            _check(made[0] == alone, "vectors of many texts are not those of each, in their order")

        self._tried(asking)

    def test_tokens_are_counted(self) -> None:
        async def asking(provider: EmbeddingModel, _service: _Served) -> None:
            used = (await self.ask(provider)).usage
            _check(used.input_tokens > 0, f"{used!r}: tokens are not counted")

        self._tried(asking)


def _request(*messages: Message, **options: Any) -> ChatRequest:
    return ChatRequest(messages, _REQUEST_KEY, **options)


def _check(holds: bool, otherwise: str) -> None:
    """As assert, which Python leaves out where it is told to optimise."""
    if not holds:
        raise AssertionError(otherwise)


async def _cancelled(call: asyncio.Future[Any]) -> None:
    call.cancel()
    await asyncio.wait([call])


async def _until(holds: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + _SOON_S
    while not holds():
        _check(time.monotonic() < until, f"not within {_SOON_S:g} s: {what}")
        await asyncio.sleep(_HEARTBEAT_S)


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the kernel's, without a Path for each


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Every line of every logger while the block runs."""
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    root, kept = logging.getLogger(), Kept()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(kept)


class _Served:
    """A service on a loop in a thread of its own, so that a provider that blocks its loop is found out."""

    service: Service

    def __init__(self, serving: AbstractAsyncContextManager[Service]) -> None:
        self._serving = serving
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-in", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()
        self.service = self._done(self._serving.__aenter__())

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        self._done(self._serving.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SOON_S)
        self._loop.close()

    async def behave(self, how: Behaviour) -> None:
        await self._asked(self.service.behave(how))

    async def calls(self) -> int:
        return await self._asked(self.service.calls())

    async def keys(self) -> set[str | None]:
        return set(await self._asked(self.service.keys()))

    async def _asked(self, coroutine: Coroutine[Any, Any, R]) -> R:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    def _done(self, coroutine: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_SOON_S)
