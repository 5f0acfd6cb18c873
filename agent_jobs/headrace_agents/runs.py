"""One run: an agent's coroutine for one event, from memory in bytes to memory in bytes.

Nothing here knows of Flink or of threads: the loop of a worker and :class:`AgentTest` run the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from pydantic import BaseModel
from pydantic_core import to_json

from headrace_agents.agent import Agent, LoadedAgent
from headrace_agents.catching_up import DecidedBefore, MissingStepError
from headrace_agents.chat import Caller, ChatModel, LoopLimitError, ModelError
from headrace_agents.codec import AS_DECLARED, JournalEntry, SettingsVersion, StoredReminder
from headrace_agents.configuration import Configurations
from headrace_agents.context import Context, SetReminder
from headrace_agents.embedding import EmbeddingModel
from headrace_agents.events import RejectedError, ReminderBody, Work
from headrace_agents.journal import Journal, Written
from headrace_agents.memory import MemoryFormat, MemoryTooLargeError, UnreadableMemoryError
from headrace_agents.records import (
    LARGEST_RECORD_BYTES,
    MAX_DETAIL,
    DecisionRecord,
    EventRef,
    ModelFailure,
    Position,
    Review,
    decision_id,
    failure_review_id,
    idempotency_key,
    key_hash,
    reminder_position,
    review_id,
)
from headrace_agents.run_embedding import RunEmbedding
from headrace_agents.run_log import StepLog, bounded
from headrace_agents.run_model import RunModel
from headrace_agents.spec import AgentJobSpec
from headrace_agents.steps import RunSteps, WriteAhead

log = logging.getLogger(__name__)

Clock = Callable[[], int]
"""Milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run needs; ``memory`` is as the state has it, None for a key seen first."""

    shard: int
    business_key: bytes
    raw_key: bytes
    """Kafka's, of the event's record."""
    position: Position
    record: Position
    """Where the event's record stands: of a replay its own place, where ``position`` is the first event's."""
    committed_at_ms: int | None
    accepted_at_ms: int
    work: Work
    memory: bytes | None
    journal: Sequence[JournalEntry] = ()
    """Steps that earlier attempts finished."""
    settings: SettingsVersion = AS_DECLARED
    """That the agent's class takes."""
    decided_before: DecidedBefore | None = None
    """By another version: nothing is done but in memory."""


class DueReminder(NamedTuple):
    due_at_ms: int
    reminder: StoredReminder


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to. Rejected, it changes nothing: its event is a dead letter, and of a failure that is
    escalated there is a review beside it."""

    started_at_ms: int
    finished_at_ms: int
    model_calls: int
    memory: bytes | None = None
    """New value for the state; None where it stays as it was."""
    decisions: tuple[DecisionRecord, ...] = ()
    reviews: tuple[Review, ...] = ()
    reminders: tuple[DueReminder, ...] = ()
    rejected: RejectedError | None = None
    missing: str | None = None
    """The step that the journal did not have, of a run that may make none: it changes nothing."""
    settings_version: int = 0
    steps: tuple[StepLog, ...] = ()
    """Of this attempt, bounded."""
    steps_truncated: bool = False


class RunHandle(Protocol):
    """A run that was started."""

    @property
    def result(self) -> RunResult | None:
        """None until the run has ended. Raises what the run raised."""

    @property
    def finished_steps(self) -> Sequence[JournalEntry]:
        """That this attempt finished so far; it only grows."""

    def cancel(self) -> None:
        """Ends the run as soon as can be; nobody looks at its result any more."""


class Runner(Protocol):
    """Runs the runs; the operator's thread calls it and is never held up but by :meth:`wait`."""

    def start(self, request: RunRequest) -> RunHandle: ...

    def take_ended(self) -> list[RunHandle]:
        """The runs that have ended, each given once, in the order of their end."""

    def take_stepped(self) -> list[RunHandle]:
        """The runs that finished a step since this was last asked; some of them may have ended since."""

    def wait(self, at_most_s: float) -> bool:
        """Returns when there is a run to take, at once when none is in flight; False: it took longer."""

    def close(self) -> None:
        """Ends what is in flight; its results are never seen."""


@dataclass(slots=True)
class _Effects:
    """What a run that ends well does, beside its memory."""

    decisions: tuple[DecisionRecord, ...] = ()
    reviews: tuple[Review, ...] = ()
    reminders: tuple[DueReminder, ...] = ()
    memory: bytes | None = None


class Deadline:
    """A run's time. Waiting for the journal is not the run's, so an outage of Kafka ends no run."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._timeout = asyncio.Timeout(None)
        self._waiting = 0
        self._left_s = 0.0
        self._is_over = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Raises RejectedError when time is over."""
        try:
            async with self._timeout:
                self._timeout.reschedule(asyncio.get_running_loop().time() + self.seconds)
                yield
        except TimeoutError as error:
            if self._timeout.expired():
                raise RejectedError("deadline", f"the run took more than {self.seconds:g} s") from error
            raise
        finally:
            self._is_over = True

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Time stands still; several steps of a run may be in here at once, and what others wait for too may
        stay longer than the run."""
        if self._has_ended():
            yield
            return
        now = asyncio.get_running_loop().time
        if self._waiting == 0:
            self._left_s = (self._timeout.when() or now()) - now()
            self._timeout.reschedule(None)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            if self._waiting == 0 and not self._has_ended():
                self._timeout.reschedule(now() + self._left_s)

    def _has_ended(self) -> bool:
        return self._is_over or self._timeout.expired()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run that is under way for the first time, or again after a failure."""

    steps: RunSteps
    deadline: Deadline


class AgentRuns:
    """Runs the events of one agent."""

    def __init__(
        self,
        spec: AgentJobSpec,
        agent: LoadedAgent,
        memory: MemoryFormat,
        *,
        clock: Clock,
        journal: Journal | None = None,
    ) -> None:
        self._name = spec.name
        self._agent = agent
        self._configurations = Configurations(agent)
        self._memory = memory
        self._deadline_s = spec.limits.run_deadline_ms / 1000
        self._write_ahead: WriteAhead = spec.journal.write_ahead
        self._logs_prompts = spec.runtime.run_log == "prompts"
        self._clock = clock
        self._journal = journal
        self._escalated = spec.model.escalated if spec.model else frozenset()

    def attempt(self, request: RunRequest, finished_one: Callable[[], None] | None = None) -> Attempt:
        """What :meth:`run` works with; its finished steps can be seen while the run goes on.

        ``finished_one`` is called after each of them, by whoever runs the run.
        """

        def key(name: str, occurrence: int) -> str:
            return idempotency_key(self._name, request.business_key, request.position, name, occurrence)

        deadline, journal = Deadline(self._deadline_s), self._journal
        if journal is None or request.decided_before is not None:
            alone = request.decided_before is not None
            steps = RunSteps(
                request.journal, key, finished_one=finished_one, clock=self._clock, reads_back_alone=alone
            )
            return Attempt(steps, deadline)

        async def write(entry: JournalEntry) -> None:
            with deadline.suspended():
                written = Written(request.position, request.accepted_at_ms, entry)
                await journal.append(request.shard, written)

        def settled() -> None:
            journal.settled(request.shard)

        steps = RunSteps(request.journal, key, self._write_ahead, write, settled, finished_one, self._clock)
        return Attempt(steps, deadline)

    async def run(
        self,
        request: RunRequest,
        attempt: Attempt,
        model: ChatModel | None,
        embedding: EmbeddingModel | None = None,
    ) -> RunResult:
        """Whatever the handler does to its event, a result comes back.

        Memory that can't be read raises UnreadableMemoryError instead, which is to fail the job: it is
        no fault of the event, and dead letters for all that follows would throw the key's state away in
        silence. Being cancelled passes through too.
        """
        if request.decided_before is not None and request.decided_before.status != "decided":
            return RunResult(self._clock(), self._clock(), 0)
        return await self._run(request, attempt, model, embedding)

    async def _run(
        self,
        request: RunRequest,
        attempt: Attempt,
        model: ChatModel | None,
        embedding: EmbeddingModel | None,
    ) -> RunResult:
        started_at_ms = self._clock()
        before = self._read_memory(request)
        instance = self._configurations.instance(request.settings.patch)
        steps = attempt.steps
        effects = _Effects()
        rejected: RejectedError | None = None
        caller = Caller(request.shard, key_hash(request.business_key), attempt.deadline.suspended)
        try:
            context: Context[Any, Any] = Context(
                memory=before,
                model=RunModel(
                    model,
                    steps,
                    caller,
                    redact=_redaction(instance),
                    logs_prompts=self._logs_prompts,
                ),
                embedding=RunEmbedding(embedding, steps, caller, redact=_redaction(instance)),
                steps=steps,
                key=request.work.key,
                now_ms=request.accepted_at_ms,
                decision_types=self._agent.decision_types,
                reminder_types=self._agent.reminders,
            )
            event = request.work.event(request.position, request.committed_at_ms)
            async with attempt.deadline.running():
                await request.work.handler.function(instance, context, event)
            # An agent that goes on without a step that it was not given is not what decided the event.
            if steps.missing is None:
                effects = self._effects(request, context)
        except (MissingStepError, BaseExceptionGroup) as error:
            # A group: of an agent's own task group, in which one of several steps is missing.
            rejected = _rejection_of_group(error, steps.missing)
        except (RejectedError, MemoryTooLargeError, LoopLimitError) as error:
            rejected = _rejection(error)
        except ModelError as error:
            rejected = RejectedError("model_error", str(error))
            if error.kind in self._escalated:
                effects.reviews = (self._failure_review(request, error),)
        except (Exception, SystemExit) as error:
            log.warning("handler failed at %s", request.position, exc_info=error)
            rejected = RejectedError("handler_error", f"{type(error).__name__}: {error}")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            rejected = RejectedError("handler_error", "the handler cancelled itself")
        if rejected is not None:
            log.warning("dead letter %s: %s: %s", request.position, rejected.reason, rejected)
        return RunResult(
            started_at_ms,
            self._clock(),
            steps.executed["model"],
            effects.memory,
            effects.decisions,
            effects.reviews,
            effects.reminders,
            rejected,
            steps.missing,
            request.settings.version,
            *bounded(steps.log),
        )

    def _read_memory(self, request: RunRequest) -> BaseModel:
        try:
            return self._memory.read(request.memory, self._clock())
        except UnreadableMemoryError as error:
            whose = f"memory of key {request.business_key.decode()}, wanted at {request.position}"
            raise UnreadableMemoryError(f"{whose}, {error}") from error

    def _effects(self, request: RunRequest, context: Context[Any, Any]) -> _Effects:
        effects = _Effects(
            decisions=self._decisions(request, context.decisions),
            reviews=self._reviews(request, context.questions),
            reminders=tuple(
                self._reminder(request, index, each) for index, each in enumerate(context.reminders)
            ),
            memory=self._memory.write(context.memory, request.memory, self._clock()),
        )
        # Of all together: the outcome names each decision, and a bundle holds what its runs put out.
        put_out = sum(len(record.encode()) for record in (*effects.decisions, *effects.reviews))
        put_out += sum(len(due.reminder.json) for due in effects.reminders)
        if len(request.raw_key) + put_out > LARGEST_RECORD_BYTES:
            allowed = f"allowed are {LARGEST_RECORD_BYTES} with the record's key"
            raise RejectedError("output_too_large", f"the run put out {put_out} bytes; {allowed}")
        return effects

    def _decisions(self, request: RunRequest, decisions: Sequence[BaseModel]) -> tuple[DecisionRecord, ...]:
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
                settings_version=request.settings.version,
            )
            for index, decision in enumerate(decisions)
        )

    def _reviews(self, request: RunRequest, questions: Sequence[BaseModel]) -> tuple[Review, ...]:
        return tuple(
            self._review(review_id(self._name, request.position, index), request, question)
            for index, question in enumerate(questions)
        )

    def _review(self, id_: str, request: RunRequest, question: BaseModel) -> Review:
        return Review(
            id=id_,
            agent=self._name,
            key=dict(request.work.key),
            event=_ref(request.position),
            kind=type(question).__name__,
            question=question.model_dump(mode="json"),
            asked_at_ms=self._clock(),
        )

    def _failure_review(self, request: RunRequest, error: ModelError) -> Review:
        detail = str(error)[:MAX_DETAIL].encode(errors="backslashreplace").decode()
        question = ModelFailure(failure=error.kind, detail=detail)
        return self._review(failure_review_id(self._name, request.record), request, question)

    def _reminder(self, request: RunRequest, index: int, reminder: SetReminder) -> DueReminder:
        body = ReminderBody(
            set_by=_ref(request.position),
            kind=type(reminder.payload).__name__,
            payload=reminder.payload.model_dump(mode="json"),
            due_at_ms=reminder.due_at_ms,
        )
        position = reminder_position(self._name, request.position, index)
        return DueReminder(reminder.due_at_ms, StoredReminder(position.topic, request.raw_key, to_json(body)))


def _rejection_of_group(error: BaseException, missing: str | None) -> RejectedError | None:
    """None where a step is missing, which is told apart. Raises what is no Exception and no missing step."""
    if missing is not None:
        return None
    if isinstance(error, ExceptionGroup):
        return RejectedError("handler_error", f"{type(error).__name__}: {error}")
    raise error


def _rejection(error: RejectedError | MemoryTooLargeError | LoopLimitError) -> RejectedError:
    match error:
        case MemoryTooLargeError():
            return RejectedError("memory_too_large", str(error))
        case LoopLimitError():
            return RejectedError("loop_limit", str(error))
    return error


def _redaction(instance: Agent[Any, Any, Any]) -> Callable[[str], str] | None:
    """None for an agent that redacts nothing."""
    return None if type(instance).redact is Agent.redact else instance.redact


def _ref(position: Position) -> EventRef:
    return EventRef(topic=position.topic, partition=position.partition, offset=position.offset)
