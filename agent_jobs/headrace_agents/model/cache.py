"""Answers that are given again to equal calls, and equal calls in flight that share one.

Equal are calls with the same messages, tools, structure and settings at the same endpoint. It is in memory,
of one worker: a restart forgets it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from cachetools import TTLCache

from headrace_agents.chat import Caller, ChatModel, ChatRequest, Completion, Usage
from headrace_agents.figures import counter
from headrace_agents.spec import CacheSpec, EndpointSpec

_DIGEST_BYTES = 32


@dataclass(slots=True)
class CacheFigures:
    """Of the response cache."""

    cache_hits: int = counter("Calls that an earlier answer was given to.")
    cache_shared: int = counter("Calls that joined an equal one in flight.")


class ResponseCache:
    """Whole answers of all endpoints of a model; the least recently used go first. Used on one event loop."""

    def __init__(
        self,
        spec: CacheSpec,
        figures: CacheFigures | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.figures = figures or CacheFigures()
        self.answers: TTLCache[bytes, Completion] = TTLCache(spec.entries, spec.expiry_ms / 1000, clock)


@dataclass(slots=True, eq=False)
class _Shared:
    """A call in flight. It ends when nobody waits for it any more."""

    waiting: list[Caller | None] = field(default_factory=list)
    task: asyncio.Task[Completion] = field(init=False)
    is_paid: bool = False
    """Somebody has the completion with what it took."""

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Where the call waits for what is no run's fault, no run that waits for it loses time."""
        with ExitStack() as stack:
            for caller in self.waiting:
                if caller is not None:
                    stack.enter_context(caller.suspended())
            yield


class Cached:
    """A :class:`ChatModel` over that of one endpoint, which is closed with it."""

    def __init__(self, spec: EndpointSpec, model: ChatModel, cache: ResponseCache) -> None:
        self._salt = f"{spec.endpoint}\0{spec.name}\0".encode()
        self._model = model
        self._answers, self._figures = cache.answers, cache.figures
        self._in_flight: dict[bytes, _Shared] = {}

    async def complete(self, request: ChatRequest) -> Completion:
        key = blake2b(self._salt + request.inputs(), digest_size=_DIGEST_BYTES).digest()
        answer = self._answers.get(key)
        if answer is not None:
            self._figures.cache_hits += 1
            return answer
        shared = self._in_flight.get(key)
        if shared is None:
            shared = self._in_flight[key] = _Shared()
            shared.task = asyncio.create_task(self._model.complete(_of_all(request, shared)))
            shared.task.add_done_callback(lambda task: self._ended(key, task))
        else:
            self._figures.cache_shared += 1
        return await self._waited_for(key, shared, request.caller)

    async def close(self) -> None:
        for shared in self._in_flight.values():
            shared.task.cancel()
        await self._model.close()

    async def _waited_for(self, key: bytes, shared: _Shared, caller: Caller | None) -> Completion:
        shared.waiting.append(caller)
        try:
            completion = await asyncio.shield(shared.task)
        finally:
            shared.waiting.remove(caller)
            if not shared.waiting and not shared.task.done():
                shared.task.cancel()
                self._in_flight.pop(key, None)
        if shared.is_paid:
            return _free(completion)
        shared.is_paid = True
        return completion

    def _ended(self, key: bytes, task: asyncio.Task[Completion]) -> None:
        shared = self._in_flight.get(key)
        if shared is not None and shared.task is task:
            del self._in_flight[key]
        if task.cancelled() or task.exception() is not None:
            return
        completion = task.result()
        if not completion.cut_off:
            self._answers[key] = _free(completion)


def _of_all(request: ChatRequest, shared: _Shared) -> ChatRequest:
    """It is charged to who asked first; its time is that of all who wait for it."""
    if request.caller is None:
        return request
    return replace(request, caller=replace(request.caller, suspended=shared.suspended))


def _free(completion: Completion) -> Completion:
    return replace(completion, usage=Usage(), cached=True)
