"""Runs an agent in memory, in milliseconds: the real operator and the real records, without Flink or Kafka.

def test_says_what_it_saw() -> None:
    agent = AgentTest(SupportTriage, key=("customer_id",), model=lambda request: TriageAnswer(...))
    handled = agent.create("public.tickets", {"id": 1, "customer_id": 7})
    assert handled.decisions == (TriageDecision(...),)

Time stands still but for :meth:`AgentTest.advance`. :meth:`AgentTest.crash_after` ends the next run in its
middle, as a lost machine does, and lets it go on from what state and journal hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json

from headrace_agents import codec
from headrace_agents.agent import Agent, LoadedAgent, SettingsError, prepare
from headrace_agents.chat import ChatModel, ChatRequest, Completion, ModelErrorKind, ToolCall
from headrace_agents.codec import JournalEntry
from headrace_agents.configuration import merged
from headrace_agents.consequences import ALONE
from headrace_agents.control import Command, Report, SettingsChange, control_key
from headrace_agents.embedding import EmbeddingModel, EmbeddingRequest, Embeddings
from headrace_agents.journal import Written
from headrace_agents.operator import AgentOperator, is_of_reminders, memory_format
from headrace_agents.records import (
    DecisionRecord,
    InputRecord,
    Outcome,
    OutputRecord,
    Position,
    Review,
    ReviewAnswer,
)
from headrace_agents.runs import AgentRuns, RunHandle, RunRequest, RunResult
from headrace_agents.spec import (
    AgentJobSpec,
    FeedbackTopics,
    InputTopic,
    JournalSpec,
    KafkaSpec,
    Limits,
    ModelSpec,
    OutputTopics,
    RuntimeSpec,
    SpendingSpec,
)
from headrace_agents.steps import WriteAhead

ScriptedAnswer = str | BaseModel | ToolCall | Sequence[ToolCall] | Completion
ScriptedModel = Callable[[ChatRequest], ScriptedAnswer]
"""Answers with text, an instance of the wanted structure or calls of tools, or raises ModelError."""

ScriptedEmbedding = Callable[[str], Sequence[float]]
"""The vector of a text."""

DEFAULT_LIMITS = Limits(
    run_deadline_ms=5_000,
    max_event_bytes=1 << 20,
    max_memory_bytes=1 << 18,
    inbox_soft_events=1_000,
    inbox_hard_events=2_000,
    inbox_hard_bytes=1 << 30,
)
_HOUR_MS = 3_600_000
"""Between a shard's looks when nothing happens: a month passes in a moment."""
START = datetime(2026, 1, 1, tzinfo=UTC)
"""When a test's time begins."""


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of one event."""

    outcome: Outcome
    decisions: tuple[BaseModel, ...]
    """Instances of the decision types of the agent's class."""
    reviews: tuple[Review, ...]
    dead_letter: OutputRecord | None


class AgentTest:
    """One agent, one shard, one event after the other. Raises AgentError if the agent's class is wrong.

    ``write_ahead`` is what the declaration's `journal` says: which steps a crash does not repeat.
    ``escalated`` are the classes of failure for which its `model.on_failure` says `escalate`.
    """

    def __init__(  # noqa: PLR0913 - what is around an agent, each by name
        self,
        agent_class: type[Agent[Any, Any, Any]],
        *,
        key: tuple[str, ...],
        model: ScriptedModel | None = None,
        embedding: ScriptedEmbedding | None = None,
        settings: Mapping[str, Any] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        write_ahead: WriteAhead = "steps",
        escalated: Collection[ModelErrorKind] = (),
    ) -> None:
        self._agent = prepare(agent_class, settings or {})
        spec = in_memory_spec(self._agent, key, limits, write_ahead, mark_interval_ms=_HOUR_MS)
        self._spec = spec.model_copy(update={"model": _model_spec(escalated)})
        self.requests: list[ChatRequest] = []
        """Every call to the model so far; what was read back from the journal is no call."""
        self._model = None if model is None else _Script(model, self.requests)
        self._embedding = None if embedding is None else _EmbeddingScript(embedding)
        self._journal = MemoryJournal()
        self._state: dict[bytes, bytes] = {}
        self._timers: set[int] = set()
        self._offsets: dict[str, int] = {}
        self._now = round(START.timestamp() * 1000)
        self._crash_after: int | None = None
        self._patch: dict[str, Any] = {}
        self._settings_version = 0
        self._start()

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self._now / 1000, UTC)

    def create(self, table: str, row: Mapping[str, Any]) -> Handled:
        return self._change("c", table, None, row)

    def update(self, table: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Handled:
        return self._change("u", table, before, after)

    def delete(self, table: str, row: Mapping[str, Any]) -> Handled:
        return self._change("d", table, row, None)

    def read(self, table: str, row: Mapping[str, Any], *, backfilled: bool = False) -> Handled:
        """A row that the connector's first snapshot found, or a backfill."""
        return self._change("r", table, None, row, "incremental" if backfilled else "true")

    def answer(self, review: Review, answer: BaseModel, by: str = "") -> Handled:
        """What a human says to a review."""
        said = ReviewAnswer(review=review.id, answer=answer.model_dump(mode="json"), by=by)
        return self.send(self._spec.feedback.answers, to_json(review.key), said.encode())

    def configure(self, **changes: Any) -> None:
        """Sets settings over those that it was made with, as `headrace agents set` does; None puts one back.

        Raises SettingsError where the agent's class does not take them; then nothing has changed.
        """
        patch = merged(self._patch, changes)
        change = SettingsChange(version=self._settings_version + 1, patch=patch)
        command = Command(id=f"set-{change.version}", kind="configure", settings=change)
        topic = self._spec.feedback.control
        record = InputRecord(Position(topic, 0, change.version), self._now, control_key(0), command.encode())
        for output in self._take(record):
            if output.topic == self._spec.outputs.reports:
                report = Report.model_validate_json(output.value or b"")
                if report.problems:
                    raise SettingsError(report.problems[0].reason)
        self._patch, self._settings_version = patch, change.version

    def advance(self, time: timedelta) -> list[Handled]:
        """Lets time pass; returns what became of the reminders that came due, in their order."""
        until = self._now + time // timedelta(milliseconds=1)
        outputs = self._surviving(lambda: self._fire_until(until))
        self._now = max(self._now, until)
        return self._each_handled(outputs)

    def crash_after(self, step: int) -> None:
        """The next run's worker is lost when that many of its steps have ended (from 1, model calls and
        tools counted); the event comes again and the run goes on. Nothing is in state by then but what was
        there before the event."""
        self._crash_after = step

    def send(self, topic: str, key: bytes | None, value: bytes | None) -> Handled:
        """A raw record on the topic of a table."""
        offset = self._offsets.get(topic, 0)
        self._offsets[topic] = offset + 1
        record = InputRecord(Position(topic, 0, offset), self._now, key, value)
        (handled,) = self._each_handled(self._surviving(lambda: self._take(record)))
        return handled

    def memory(self, **key: Any) -> BaseModel | None:
        """What the agent remembers for a key; None for one it never saw."""
        data = self._state.get(codec.memory_key(to_json([key[name] for name in self._spec.key])))
        if data is None:
            return None
        return memory_format(self._spec, self._agent).read(data, self._now)

    def _start(self) -> None:
        runs = AgentRuns(
            self._spec,
            self._agent,
            memory_format(self._spec, self._agent),
            clock=self._now_ms,
            journal=self._journal,
        )
        runner = _AtOnce(runs, self._model, self._embedding, self._take_crash)
        self._operator = AgentOperator(
            self._spec,
            self._agent,
            runner,
            clock=self._now_ms,
            bundle_events=1,
            select=lambda _shard_id: None,
            journal=self._journal,
        )

    def _take_crash(self) -> int | None:
        crash, self._crash_after = self._crash_after, None
        return crash

    def _surviving(self, act: Callable[[], list[OutputRecord]]) -> list[OutputRecord]:
        """Acts; where that crashes, acts again from the state that was there before."""
        state, timers, now = dict(self._state), set(self._timers), self._now
        try:
            return act()
        except _CrashError:
            self._state, self._timers, self._now = state, timers, now
            self._start()
            return act()

    def _take(self, record: InputRecord) -> list[OutputRecord]:
        state = DictState(self._state)
        outputs = list(self._operator.process(0, record, state, self._set_timer))
        self._operator.end_bundle(state)
        return [*outputs, *self._settle()]

    def _settle(self) -> list[OutputRecord]:
        """Fires looks until all is decided; time stands still, so no reminder is due."""
        outputs: list[OutputRecord] = []
        while self._operator.figures.inbox_events:
            outputs += self._fire(min(timer for timer in self._timers if not is_of_reminders(timer)))
        return outputs

    def _fire_until(self, until_ms: int) -> list[OutputRecord]:
        outputs: list[OutputRecord] = []
        # A reminder's timer is at the odd millisecond: its own or the next one.
        while self._timers and (timer := min(self._timers)) <= until_ms | 1:
            self._now = max(self._now, min(timer, until_ms))
            outputs += self._fire(timer)
            outputs += self._settle()
        return outputs

    def _fire(self, timer: int) -> list[OutputRecord]:
        self._timers.remove(timer)
        state = DictState(self._state)
        outputs = list(self._operator.on_timer(0, timer, state, self._set_timer))
        self._operator.end_bundle(state)
        return outputs

    def _set_timer(self, at_ms: int) -> None:
        self._timers.add(at_ms)

    def _change(
        self,
        code: str,
        table: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        snapshot: str = "false",
    ) -> Handled:
        schema, _, name = table.partition(".")
        row = after or before or {}
        envelope = {
            "before": before,
            "after": after,
            "source": {"schema": schema, "table": name, "ts_ms": self._now_ms(), "snapshot": snapshot},
            "op": code,
        }
        key = {field: row.get(field) for field in self._spec.key}
        return self.send(table, to_json(key), to_json(envelope))

    def _each_handled(self, outputs: Iterable[OutputRecord]) -> list[Handled]:
        """An event's outcome is the last of its records."""
        handled: list[Handled] = []
        topics, own = self._spec.outputs, list[OutputRecord]()
        for output in outputs:
            if output.topic != topics.outcomes:
                own.append(output)
                continue
            handled.append(
                Handled(
                    Outcome.model_validate_json(output.value or b""),
                    tuple(self._decision(o.value or b"") for o in own if o.topic == topics.decisions),
                    tuple(
                        Review.model_validate_json(o.value or b"") for o in own if o.topic == topics.reviews
                    ),
                    next((o for o in own if o.topic == topics.dead_letters), None),
                )
            )
            own = []
        return handled

    def _decision(self, data: bytes) -> BaseModel:
        record = DecisionRecord.model_validate_json(data)
        types = {kind.__name__: kind for kind in self._agent.decision_types}
        return types[record.kind].model_validate(record.decision)

    def _now_ms(self) -> int:
        return self._now


def in_memory_spec(
    agent: LoadedAgent,
    key: tuple[str, ...],
    limits: Limits,
    write_ahead: WriteAhead = "steps",
    mark_interval_ms: int = 10_000,
) -> AgentJobSpec:
    """A specification for a run in memory: each table's topic has the table's name."""
    kind = type(agent.instance)
    return AgentJobSpec(
        name=kind.__name__,
        entry_point=f"{kind.__module__}:{kind.__qualname__}",
        inputs=tuple(InputTopic(topic=table, table=table) for table in sorted(agent.tables)),
        key=key,
        outputs=OutputTopics(
            decisions="decisions",
            outcomes="outcomes",
            dead_letters="dead-letters",
            reviews="reviews",
            reports="reports",
            runs="runs",
        ),
        feedback=FeedbackTopics(answers="answers", replays="replays", control="control"),
        journal=JournalSpec(
            topic="journal", partitions=1, write_ahead=write_ahead, mark_interval_ms=mark_interval_ms
        ),
        kafka=KafkaSpec(bootstrap_servers="none", transaction_timeout_ms=1, max_request_bytes=1),
        model=None,
        spending=SpendingSpec(budgets="budgets", costs="costs", partitions=1),
        limits=limits,
        runtime=RuntimeSpec(tick_ms=10, busy_share=1),
        shards=1,
        parallelism=1,
        max_parallelism=1,
    )


def _model_spec(escalated: Collection[ModelErrorKind]) -> ModelSpec:
    """Of a model that is a function: nothing but the consequences of its failures matters."""
    return ModelSpec(
        endpoint="none",
        name="scripted",
        timeout_ms=1,
        max_attempts=1,
        max_concurrency=1,
        on_failure={**ALONE, **dict.fromkeys(escalated, "escalate")},
    )


@dataclass
class MemoryJournal:
    """A journal without Kafka. What is acknowledged outlives a crash."""

    written: list[Written] = field(default_factory=list)

    async def append(self, _shard: int, written: Written) -> None:
        self.written.append(written)

    def settled(self, _shard: int) -> None:
        """Runs of this journal's operator see their steps at once."""

    def collected_until(self, _shard: int) -> int | None:
        return len(self.written)

    def tail(self, _shard: int, from_offset: int | None, _since_ms: int) -> Sequence[Written]:
        return self.written[from_offset or 0 :]


class DictState:
    """A shard's state in a dictionary."""

    def __init__(self, entries: dict[bytes, bytes]) -> None:
        self._entries = entries

    def get(self, key: bytes) -> bytes | None:
        return self._entries.get(key)

    def prefetch(self, key: bytes) -> None:
        """It is at hand."""

    def put(self, key: bytes, value: bytes) -> None:
        self._entries[key] = value

    def remove(self, key: bytes) -> None:
        self._entries.pop(key, None)

    def list_keys(self) -> list[bytes]:
        return list(self._entries)


class _CrashError(BaseException):
    """The worker is lost."""


class _Script:
    def __init__(self, answer: ScriptedModel, requests: list[ChatRequest]) -> None:
        self._answer = answer
        self._requests = requests

    async def complete(self, request: ChatRequest) -> Completion:
        self._requests.append(request)
        match self._answer(request):
            case Completion() as completion:
                return completion
            case BaseModel() as answer:
                return Completion(answer.model_dump_json())
            case str(text):
                return Completion(text)
            case ToolCall() as call:
                return Completion(tool_calls=(call,))
            case calls:
                return Completion(tool_calls=tuple(calls))

    async def close(self) -> None:
        pass


class _EmbeddingScript:
    most_texts = 100

    def __init__(self, vector: ScriptedEmbedding) -> None:
        self._vector = vector

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        return Embeddings.of([self._vector(text) for text in request.texts])

    async def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True, eq=False)
class _Ended:
    result: RunResult | None
    finished_steps: Sequence[JournalEntry]

    def cancel(self) -> None:
        pass


class _AtOnce:
    """A runner whose runs end before :meth:`start` returns."""

    def __init__(
        self,
        runs: AgentRuns,
        model: ChatModel | None,
        embedding: EmbeddingModel | None,
        take_crash: Callable[[], int | None],
    ) -> None:
        self._runs = runs
        self._model = model
        self._embedding = embedding
        self._take_crash = take_crash
        self._ended: list[RunHandle] = []

    def start(self, request: RunRequest) -> RunHandle:
        handle = self._run(request)
        self._ended.append(handle)
        return handle

    def take_ended(self) -> list[RunHandle]:
        ended, self._ended = self._ended, []
        return ended

    def take_stepped(self) -> list[RunHandle]:
        return []

    def _run(self, request: RunRequest) -> RunHandle:
        attempt = self._runs.attempt(request)
        run = self._runs.run(request, attempt, self._model, self._embedding)
        crash_after = self._take_crash()
        if crash_after is None:
            return _Ended(asyncio.run(run), attempt.steps.finished)
        attempt.steps.finished = steps = _CrashingSteps(crash_after)
        try:
            result = asyncio.run(run)
        except BaseException:
            # Whatever the crash became on its way out of a task group.
            if steps.crashed:
                raise _CrashError from None
            raise
        return _Ended(result, steps)

    def wait(self, _at_most_s: float) -> bool:
        return True

    def close(self) -> None:
        pass


class _CrashingSteps(list[JournalEntry]):
    def __init__(self, crash_after: int) -> None:
        super().__init__()
        self._crash_after = crash_after
        self.crashed = False

    def append(self, step: JournalEntry) -> None:
        super().append(step)
        if len(self) == self._crash_after:
            self.crashed = True
            raise _CrashError
