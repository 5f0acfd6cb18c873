"""One run: an agent's coroutine for one event, from memory in bytes to memory in bytes.

Nothing here knows of Flink or of threads: the loop of a worker and :class:`AgentTest` run the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from headrace_agents import codec
from headrace_agents.agent import Context, LoadedAgent
from headrace_agents.chat import ChatModel, ModelError, RunModel
from headrace_agents.events import RejectedError, Work
from headrace_agents.records import DecisionRecord, Position, decision_id, idempotency_key

log = logging.getLogger(__name__)

Clock = Callable[[], int]
"""Milliseconds since the epoch."""


class UnreadableMemoryError(Exception):
    """A key's memory was written by a runtime or an agent that this one is not compatible with."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run needs; ``memory`` is as the state has it, None for a key seen first."""

    business_key: bytes
    position: Position
    committed_at_ms: int | None
    work: Work
    memory: bytes | None


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to. Rejected, it changes nothing but that its event is a dead letter."""

    started_at_ms: int
    finished_at_ms: int
    model_calls: int
    memory: bytes | None = None
    """New value for the state; None where it stays as it was."""
    decisions: tuple[DecisionRecord, ...] = ()
    rejected: RejectedError | None = None


class RunHandle(Protocol):
    """A run that was started."""

    @property
    def result(self) -> RunResult | None:
        """None until the run has ended. Raises what the run raised."""


class Runner(Protocol):
    """Runs the runs; the operator's thread calls it and is never held up but by :meth:`wait`."""

    def start(self, request: RunRequest) -> RunHandle: ...

    def wait(self) -> None:
        """Returns when one more run has ended, at once when none is in flight."""

    def close(self) -> None:
        """Ends what is in flight; its results are never seen."""


class AgentRuns:
    """Runs the events of one agent."""

    def __init__(
        self,
        name: str,
        agent: LoadedAgent,
        *,
        deadline_ms: int,
        max_memory_bytes: int,
        clock: Clock,
    ) -> None:
        self._name = name
        self._agent = agent
        self._deadline_s = deadline_ms / 1000
        self._max_memory_bytes = max_memory_bytes
        self._clock = clock

    async def run(self, request: RunRequest, model: ChatModel | None) -> RunResult:
        """Whatever the handler does to its event, a result comes back.

        Memory that can't be read raises UnreadableMemoryError instead, which is to fail the job: it is
        no fault of the event, and dead letters for all that follows would throw the key's state away in
        silence. Being cancelled passes through too.
        """
        started_at_ms = self._clock()
        before = self._memory(request)
        run_model = RunModel(
            model, lambda call: idempotency_key(self._name, request.business_key, request.position, call)
        )
        memory: bytes | None = None
        decisions: tuple[DecisionRecord, ...] = ()
        rejected: RejectedError | None = None
        try:
            context: Context[Any, Any] = Context(before, run_model, self._agent.decision_types)
            await self._call(request, context)
            memory = self._changed_memory(request, context.memory)
            decisions = self._records(request, context.decisions)
        except RejectedError as error:
            rejected = error
        except ModelError as error:
            rejected = RejectedError("model_error", str(error))
        except (Exception, SystemExit) as error:
            log.warning("handler failed at %s", request.position, exc_info=error)
            rejected = RejectedError("handler_error", f"{type(error).__name__}: {error}")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            rejected = RejectedError("handler_error", "the handler cancelled itself")
        if rejected is not None:
            decisions, memory = (), None
            log.warning("dead letter %s: %s: %s", request.position, rejected.reason, rejected)
        return RunResult(started_at_ms, self._clock(), run_model.calls, memory, decisions, rejected)

    async def _call(self, request: RunRequest, context: Context[Any, Any]) -> None:
        change = request.work.change(request.position, request.committed_at_ms)
        deadline = asyncio.timeout(self._deadline_s)
        try:
            async with deadline:
                await request.work.handler.function(self._agent.instance, context, change)
        except TimeoutError as error:
            if deadline.expired():
                raise RejectedError("deadline", f"the run took more than {self._deadline_s:g} s") from error
            raise

    def _memory(self, request: RunRequest) -> BaseModel:
        memory_type = self._agent.memory_type
        if request.memory is None:
            return memory_type()
        try:
            return memory_type.model_validate_json(codec.decode_memory(request.memory))
        except ValueError as error:  # pydantic's and the codec's errors are ValueErrors
            whose = f"memory of key {request.business_key.decode()}, wanted at {request.position}"
            detail = f"{whose}, can't be read as {memory_type.__name__}: {error}"
            raise UnreadableMemoryError(detail) from error

    def _changed_memory(self, request: RunRequest, memory: BaseModel) -> bytes | None:
        """Checked by reading it back: what can't be read would fail every later run of the key."""
        data = memory.model_dump_json(warnings=False).encode()
        self._agent.memory_type.model_validate_json(data)
        encoded = codec.encode_memory(data)
        if len(encoded) > self._max_memory_bytes:
            detail = f"{len(encoded)} bytes, at most {self._max_memory_bytes} for a key"
            raise RejectedError("memory_too_large", detail)
        return None if encoded == request.memory else encoded

    def _records(self, request: RunRequest, decisions: tuple[BaseModel, ...]) -> tuple[DecisionRecord, ...]:
        decided_at_ms = self._clock()
        event = request.position._asdict()
        return tuple(
            DecisionRecord(
                id=decision_id(self._name, request.position, index),
                agent=self._name,
                key=dict(request.work.key),
                event=event,
                index=index,
                kind=type(decision).__name__,
                decision=decision.model_dump(mode="json"),
                decided_at_ms=decided_at_ms,
            )
            for index, decision in enumerate(decisions)
        )
