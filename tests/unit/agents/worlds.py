"""What the tests of the operator share: an agent, records, a state that can crash, runs ended by hand."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from headrace_agents import Agent, Answer, Change, Context, Reminder, codec, on, on_answer, on_reminder
from headrace_agents.agent import LoadedAgent, prepare
from headrace_agents.codec import JournalEntry
from headrace_agents.control import Command, Report, control_key
from headrace_agents.operator import AgentOperator, memory_format
from headrace_agents.records import DecisionRecord, InputRecord, Outcome, OutputRecord, Position
from headrace_agents.runs import AgentRuns, Attempt, RunHandle, RunRequest, RunResult
from headrace_agents.spec import AgentJobSpec, Limits, OnMisfit
from headrace_agents.steps import WriteAhead
from headrace_agents.testing import DictState, MemoryJournal, in_memory_spec

TABLE = "public.things"
Run = Context[Any, Any]


class Thing(BaseModel):
    id: int
    key: int
    do: str = ""


class Seen(BaseModel):
    things: list[int] = []


class Decided(BaseModel):
    thing: int
    seen: int


class Later(BaseModel):
    thing: int


class Question(BaseModel):
    thing: int


class Verdict(BaseModel):
    thing: int


EFFECTS: Counter[tuple[int, int]] = Counter()
"""Of the outside world: how often each step of each thing was done."""


async def effect(thing: int, number: int) -> int:
    EFFECTS[thing, number] += 1
    await asyncio.sleep(0)
    return thing * 10 + number


class Tracker(Agent[Seen, Decided]):
    """Remembers every thing of its key, in order; does as the thing says."""

    @on(TABLE, "create")
    async def thing(self, ctx: Run, change: Change[Thing]) -> None:
        row = change.row
        ctx.memory.things.append(row.id)
        if row.do == "fail":
            raise RuntimeError("as told")
        if row.do == "hang":
            await asyncio.sleep(3600)
        if row.do == "grow":
            ctx.memory.things += range(100_000)
        if row.do == "flood":
            for number in range(50_000):
                ctx.emit(Decided(thing=row.id, seen=number))
        if row.do == "remind":
            ctx.remind(timedelta(milliseconds=500), Later(thing=row.id))
        if row.do == "ask":
            ctx.escalate(Question(thing=row.id))
        if row.do == "steps":
            done = [await ctx.step("effect", effect, row.id, number) for number in range(3)]
            assert done == [row.id * 10 + number for number in range(3)]
        ctx.emit(Decided(thing=row.id, seen=len(ctx.memory.things)))

    @on_reminder
    async def later(self, ctx: Run, reminder: Reminder[Later]) -> None:
        thing = -1 - reminder.payload.thing
        ctx.memory.things.append(thing)
        ctx.emit(Decided(thing=thing, seen=len(ctx.memory.things)))

    @on_answer
    async def answered(self, ctx: Run, answer: Answer[Verdict]) -> None:
        ctx.emit(Decided(thing=answer.answer.thing, seen=len(ctx.memory.things)))


def key(number: int) -> bytes:
    return json.dumps({"key": number}).encode()


def envelope(row: dict[str, Any] | None, *, op: str = "c", table: str = "things") -> bytes:
    source = {"schema": "public", "table": table, "ts_ms": 5}
    before, after = (row, None) if op == "d" else (None, row)
    return json.dumps({"before": before, "after": after, "source": source, "op": op}).encode()


def record(offset: int, raw_key: bytes | None, value: bytes | None) -> InputRecord:
    return InputRecord(Position(TABLE, 0, offset), 1, raw_key, value)


def created(offset: int, number: int, do: str = "") -> InputRecord:
    return record(offset, key(number), envelope({"id": offset, "key": number, "do": do}))


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_000

    def __call__(self) -> int:
        return self.now_ms


def runs_of(
    spec: AgentJobSpec, agent: LoadedAgent, clock: Callable[[], int], journal: MemoryJournal | None = None
) -> AgentRuns:
    return AgentRuns(spec, agent, memory_format(spec, agent), clock=clock, journal=journal)


@dataclass(eq=False)
class ManualRun:
    request: RunRequest
    attempt: Attempt
    result: RunResult | None = None
    cancelled: bool = False

    @property
    def finished_steps(self) -> Sequence[JournalEntry]:
        return self.attempt.steps.finished

    def cancel(self) -> None:
        self.cancelled = True


class ManualRunner:
    """A runner whose runs end, or get a step further, when the test says so."""

    def __init__(self, runs: AgentRuns) -> None:
        self._runs = runs
        self.in_flight: list[ManualRun] = []
        self._ended: list[RunHandle] = []
        self._stepped: list[RunHandle] = []
        self.waits = 0
        self.stalled = False
        """No run ends, however long one waits."""
        self.closed = False

    def start(self, request: RunRequest) -> ManualRun:
        run = ManualRun(request, self._runs.attempt(request))
        self.in_flight = [other for other in self.in_flight if not other.cancelled]
        assert all(other.request.business_key != request.business_key for other in self.in_flight)
        self.in_flight.append(run)
        return run

    def end(self, index: int) -> None:
        run = self.in_flight.pop(index % len(self.in_flight))
        run.result = asyncio.run(self._runs.run(run.request, run.attempt, None))
        self._ended.append(run)

    def take_ended(self) -> list[RunHandle]:
        ended, self._ended = self._ended, []
        return ended

    def take_stepped(self) -> list[RunHandle]:
        stepped, self._stepped = self._stepped, []
        return stepped

    def do_steps(self, index: int, count: int) -> None:
        """Lets a run finish some steps and be lost then, as far as anybody can see."""
        run = self.in_flight[index % len(self.in_flight)]
        if not run.finished_steps:
            run.attempt.steps.finished = steps = _LostAfter(count)
            with suppress(_LostError):
                asyncio.run(self._runs.run(run.request, run.attempt, None))
            # Should it be ended after all, it goes on as a run of its own that knows what was done.
            known = [*run.request.journal, *steps]
            again = self._runs.attempt(replace(run.request, journal=known))
            again.steps.finished.extend(steps)
            run.attempt = again
            self._stepped.append(run)

    def wait(self, _at_most_s: float) -> bool:
        self.waits += 1
        if self.stalled:
            return False
        if self.in_flight:
            self.end(0)
        return True

    def close(self) -> None:
        self.closed = True


class _LostError(BaseException):
    pass


class _LostAfter(list[JournalEntry]):
    def __init__(self, count: int) -> None:
        super().__init__()
        self._left = count

    def append(self, step: JournalEntry) -> None:
        super().append(step)
        self._left -= 1
        if self._left == 0:
            raise _LostError


LIMITS = Limits(
    run_deadline_ms=5_000,
    max_event_bytes=2_000,
    max_memory_bytes=10_000,
    inbox_soft_events=50,
    inbox_hard_events=100,
    inbox_hard_bytes=1 << 20,
)


@dataclass
class Durable:
    """What Flink's checkpoints keep: one shard's map, its timers, the position of the source, the output."""

    state: dict[bytes, bytes] = field(default_factory=dict)
    timers: set[int] = field(default_factory=set)
    taken: int = 0
    outputs: list[OutputRecord] = field(default_factory=list)

    def copy(self) -> Durable:
        return Durable(dict(self.state), set(self.timers), self.taken, list(self.outputs))


class World:
    """One shard of one subtask, with checkpoints and crashes."""

    def __init__(
        self,
        records: Iterable[InputRecord],
        limits: Limits = LIMITS,
        agent_class: type[Agent[Any, Any, Any]] = Tracker,
        write_ahead: WriteAhead = "steps",
        on_misfit: OnMisfit = "dead_letter",
    ) -> None:
        self.records = list(records)
        self.clock = Clock()
        self.slept_s = 0.0
        self.durable = Durable()
        self.checkpointed = Durable()
        self.journal = None if write_ahead == "none" else MemoryJournal()
        self.agent = prepare(agent_class, {})
        spec: AgentJobSpec = in_memory_spec(self.agent, ("key",), limits, write_ahead)
        inputs = tuple(topic.model_copy(update={"on_misfit": on_misfit}) for topic in spec.inputs)
        self.spec = spec.model_copy(update={"inputs": inputs})
        self._start()

    def _start(self) -> None:
        self.runner = ManualRunner(runs_of(self.spec, self.agent, self.clock, self.journal))
        self.operator = AgentOperator(
            self.spec,
            self.agent,
            self.runner,
            clock=self.clock,
            bundle_events=10,
            select=lambda _shard_id: None,
            journal=self.journal,
            sleep=self._sleep,
        )

    def take(self) -> None:
        if self.durable.taken < len(self.records):
            taken = self.records[self.durable.taken]
            self.durable.taken += 1
            self.put_in(taken)

    def put_in(self, record: InputRecord) -> None:
        """A record that no crash brings back."""
        state = DictState(self.durable.state)
        self._emit(self.operator.process(0, record, state, self.durable.timers.add))
        self.operator.end_bundle(state)

    def command(self, kind: str, *key: Any) -> Command:
        command = Command.model_validate({"id": f"{kind}-1", "kind": kind, "key": key or None})
        position = Position(self.spec.feedback.control, 0, self.clock.now_ms)
        self.put_in(InputRecord(position, self.clock.now_ms, control_key(0), command.encode()))
        return command

    def reports(self) -> list[Report]:
        return [Report.model_validate_json(value) for value in self._values(self.spec.outputs.reports)]

    def end_run(self, index: int) -> None:
        if self.runner.in_flight:
            self.runner.end(index)

    def do_steps(self, index: int, count: int = 1) -> None:
        if self.runner.in_flight:
            self.runner.do_steps(index, count)

    def pass_time(self, ms: int) -> None:
        """Fires the timers that are due, in order."""
        self.clock.now_ms += ms
        while due := [timer for timer in self.durable.timers if timer <= self.clock.now_ms]:
            timer = min(due)
            self.durable.timers.remove(timer)
            state = DictState(self.durable.state)
            self._emit(self.operator.on_timer(0, timer, state, self.durable.timers.add))
            self.operator.end_bundle(state)

    def checkpoint(self) -> None:
        self.checkpointed = self.durable.copy()

    def crash(self) -> None:
        """All that was done since the last checkpoint is gone; a new instance goes on from there."""
        self.durable = self.checkpointed.copy()
        self._start()

    def upgrade(self, agent_class: type[Agent[Any, Any, Any]]) -> None:
        """Another version of the agent goes on from the state as it is."""
        self.agent = prepare(agent_class, {})
        self.checkpoint()
        self.crash()

    def memories(self) -> dict[bytes, codec.Memory]:
        """By business key, as the state has them."""
        return {
            entry[1:]: codec.decode_memory(data)
            for entry, data in self.durable.state.items()
            if entry[:1] == codec.MEMORY
        }

    def finish(self) -> None:
        """Lets everything come to its end, by nothing but the source and the timers of the state."""
        while self.durable.taken < len(self.records):
            self.take()
        while any(entry[:1] in (codec.INBOX, codec.REMINDERS) for entry in self.durable.state):
            self.pass_time(300)
            while self.runner.in_flight:
                self.runner.end(0)

    def outcomes(self) -> list[Outcome]:
        return [Outcome.model_validate_json(value) for value in self._values(self.spec.outputs.outcomes)]

    def decisions(self) -> list[DecisionRecord]:
        return [
            DecisionRecord.model_validate_json(value) for value in self._values(self.spec.outputs.decisions)
        ]

    def dead_letters(self) -> list[OutputRecord]:
        return [output for output in self.durable.outputs if output.topic == self.spec.outputs.dead_letters]

    def _values(self, topic: str) -> Iterator[bytes]:
        return (output.value or b"" for output in self.durable.outputs if output.topic == topic)

    def _emit(self, outputs: Iterable[OutputRecord]) -> None:
        self.durable.outputs.extend(outputs)

    def _sleep(self, seconds: float) -> None:
        self.slept_s += seconds
