"""What the tests of the operator share: an agent, records, a state that can crash, runs ended by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from headrace_agents import Agent, Change, Context, on
from headrace_agents.agent import prepare
from headrace_agents.events import EventReader
from headrace_agents.operator import AgentOperator
from headrace_agents.records import DecisionRecord, InputRecord, Outcome, OutputRecord, Position
from headrace_agents.runs import AgentRuns, RunRequest, RunResult
from headrace_agents.spec import AgentJobSpec, Limits
from headrace_agents.testing import in_memory_spec

TABLE = "public.things"


class Thing(BaseModel):
    id: int
    key: int
    do: str = ""


class Seen(BaseModel):
    things: list[int] = []


class Decided(BaseModel):
    thing: int
    seen: int


class Tracker(Agent[Seen, Decided]):
    """Remembers every thing of its key, in order; does as the thing says."""

    @on(TABLE, "create")
    async def thing(self, ctx: Context[Seen, Decided], change: Change[Thing]) -> None:
        row = change.row
        ctx.memory.things.append(row.id)
        if row.do == "fail":
            raise RuntimeError("as told")
        if row.do == "hang":
            await asyncio.sleep(3600)
        if row.do == "grow":
            ctx.memory.things += range(100_000)
        ctx.emit(Decided(thing=row.id, seen=len(ctx.memory.things)))


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


@dataclass
class ManualRun:
    request: RunRequest
    result: RunResult | None = None


class ManualRunner:
    """A runner whose runs end when the test says so."""

    def __init__(self, runs: AgentRuns) -> None:
        self._runs = runs
        self.in_flight: list[ManualRun] = []
        self.waits = 0
        self.closed = False

    def start(self, request: RunRequest) -> ManualRun:
        run = ManualRun(request)
        assert all(other.request.business_key != request.business_key for other in self.in_flight)
        self.in_flight.append(run)
        return run

    def end(self, index: int) -> None:
        run = self.in_flight.pop(index % len(self.in_flight))
        run.result = asyncio.run(self._runs.run(run.request, None))

    def wait(self) -> None:
        self.waits += 1
        if self.in_flight:
            self.end(0)

    def close(self) -> None:
        self.closed = True


LIMITS = Limits(
    run_deadline_ms=20,
    max_event_bytes=2_000,
    max_memory_bytes=10_000,
    inbox_soft_events=50,
    inbox_hard_events=100,
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


class MapState:
    def __init__(self, entries: dict[bytes, bytes]) -> None:
        self._entries = entries

    def get(self, key: bytes) -> bytes | None:
        return self._entries.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        assert isinstance(value, bytes)
        self._entries[key] = value

    def remove(self, key: bytes) -> None:
        self._entries.pop(key, None)


class World:
    """One shard of one subtask, with checkpoints and crashes."""

    def __init__(self, records: Iterable[InputRecord], limits: Limits = LIMITS) -> None:
        self.records = list(records)
        self.clock = Clock()
        self.limits = limits
        self.slept_s = 0.0
        self.durable = Durable()
        self.checkpointed = Durable()
        self._start()

    def _start(self) -> None:
        agent = prepare(Tracker, {})
        self.spec: AgentJobSpec = in_memory_spec(agent, ("key",), self.limits)
        reader = EventReader(self.spec.inputs, self.spec.key, agent.handlers, self.limits.max_event_bytes)
        self.runner = ManualRunner(
            AgentRuns(
                "tracker",
                agent,
                deadline_ms=self.limits.run_deadline_ms,
                max_memory_bytes=self.limits.max_memory_bytes,
                clock=self.clock,
            )
        )
        self.operator = AgentOperator(
            self.spec, reader, self.runner, clock=self.clock, bundle_events=10, sleep=self._sleep
        )

    def take(self) -> None:
        if self.durable.taken < len(self.records):
            taken = self.records[self.durable.taken]
            self.durable.taken += 1
            state = MapState(self.durable.state)
            self._emit(self.operator.process(0, taken, state, self.durable.timers.add))

    def end_run(self, index: int) -> None:
        if self.runner.in_flight:
            self.runner.end(index)

    def pass_time(self, ms: int) -> None:
        """Fires the timers that are due, in order."""
        self.clock.now_ms += ms
        while due := [timer for timer in self.durable.timers if timer <= self.clock.now_ms]:
            timer = min(due)
            self.durable.timers.remove(timer)
            state = MapState(self.durable.state)
            self._emit(self.operator.on_timer(0, timer, state, self.durable.timers.add))

    def checkpoint(self) -> None:
        self.checkpointed = self.durable.copy()

    def crash(self) -> None:
        """All that was done since the last checkpoint is gone; a new instance goes on from there."""
        self.durable = self.checkpointed.copy()
        self._start()

    def finish(self) -> None:
        """Lets everything come to its end, by nothing but the source and the timers of the state."""
        while self.durable.taken < len(self.records):
            self.take()
        while self.durable.timers or self.runner.in_flight:
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
