"""Runs an agent in memory, in milliseconds: the real operator and the real records, without Flink or Kafka.

def test_says_what_it_saw() -> None:
    agent = AgentTest(SupportTriage, key=("customer_id",), model=lambda request: TriageAnswer(...))
    handled = agent.create("public.tickets", {"id": 1, "customer_id": 7})
    assert handled.decisions == (TriageDecision(...),)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json

from headrace_agents import codec
from headrace_agents.agent import Agent, LoadedAgent, prepare
from headrace_agents.chat import ChatModel, ChatRequest, Reply
from headrace_agents.events import EventReader
from headrace_agents.operator import AgentOperator
from headrace_agents.records import DecisionRecord, InputRecord, Outcome, OutputRecord, Position
from headrace_agents.runs import AgentRuns, RunHandle, RunRequest, RunResult
from headrace_agents.spec import AgentJobSpec, InputTopic, KafkaSpec, Limits, OutputTopics, RuntimeSpec

ScriptedModel = Callable[[ChatRequest], str | BaseModel]
"""Answers a request with text or an instance of the wanted structure, or raises ModelError."""

DEFAULT_LIMITS = Limits(
    run_deadline_ms=5_000,
    max_event_bytes=1 << 20,
    max_memory_bytes=1 << 18,
    inbox_soft_events=1_000,
    inbox_hard_events=2_000,
)


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of one event."""

    outcome: Outcome
    decisions: tuple[BaseModel, ...]
    """Instances of the decision types of the agent's class."""
    dead_letter: OutputRecord | None


class AgentTest:
    """One agent, one shard, one event after the other. Raises AgentError if the agent's class is wrong."""

    def __init__(
        self,
        agent_class: type[Agent[Any, Any, Any]],
        *,
        key: tuple[str, ...],
        model: ScriptedModel | None = None,
        settings: Mapping[str, Any] | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._agent = prepare(agent_class, settings or {})
        self._spec = in_memory_spec(self._agent, key, limits)
        reader = EventReader(self._spec.inputs, key, self._agent.handlers, limits.max_event_bytes)
        runs = AgentRuns(
            self._spec.name,
            self._agent,
            deadline_ms=limits.run_deadline_ms,
            max_memory_bytes=limits.max_memory_bytes,
            clock=self._now_ms,
        )
        self.requests: list[ChatRequest] = []
        """Every call to the model so far."""
        scripted = None if model is None else _Script(model, self.requests)
        self._operator = AgentOperator(
            self._spec, reader, _AtOnce(runs, scripted), clock=self._now_ms, bundle_events=1
        )
        self._state: dict[bytes, bytes] = {}
        self._offset = 0
        self._now = 0

    def create(self, table: str, row: Mapping[str, Any]) -> Handled:
        return self._change("c", table, None, row)

    def update(self, table: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Handled:
        return self._change("u", table, before, after)

    def delete(self, table: str, row: Mapping[str, Any]) -> Handled:
        return self._change("d", table, row, None)

    def read(self, table: str, row: Mapping[str, Any]) -> Handled:
        """A row that the connector's snapshot found."""
        return self._change("r", table, None, row)

    def send(self, table: str, key: bytes | None, value: bytes | None) -> Handled:
        """A raw record on the topic of a table."""
        position = Position(table, 0, self._offset)
        self._offset += 1
        timers: list[int] = []
        state = _DictState(self._state)
        record = InputRecord(position, self._now_ms(), key, value)
        outputs = list(self._operator.process(0, record, state, timers.append))
        while timers:
            self._now = max(self._now, timers.pop(0))
            outputs += self._operator.on_timer(0, self._now, state, timers.append)
        return self._handled(outputs)

    def memory(self, **key: Any) -> BaseModel | None:
        """What the agent remembers for a key; None for one it never saw."""
        business_key = to_json([key[name] for name in self._spec.key])
        data = self._state.get(codec.memory_key(business_key))
        if data is None:
            return None
        return self._agent.memory_type.model_validate_json(codec.decode_memory(data))

    def _change(
        self, code: str, table: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> Handled:
        schema, _, name = table.partition(".")
        row = after or before or {}
        envelope = {
            "before": before,
            "after": after,
            "source": {"schema": schema, "table": name, "ts_ms": self._now_ms()},
            "op": code,
        }
        key = {field: row.get(field) for field in self._spec.key}
        return self.send(table, to_json(key), to_json(envelope))

    def _handled(self, outputs: list[OutputRecord]) -> Handled:
        topics = self._spec.outputs
        (outcome,) = (output.value or b"" for output in outputs if output.topic == topics.outcomes)
        decisions = (output.value or b"" for output in outputs if output.topic == topics.decisions)
        dead = next((output for output in outputs if output.topic == topics.dead_letters), None)
        return Handled(Outcome.model_validate_json(outcome), tuple(map(self._decision, decisions)), dead)

    def _decision(self, data: bytes) -> BaseModel:
        record = DecisionRecord.model_validate_json(data)
        types = {kind.__name__: kind for kind in self._agent.decision_types}
        return types[record.kind].model_validate(record.decision)

    def _now_ms(self) -> int:
        return self._now


def in_memory_spec(agent: LoadedAgent, key: tuple[str, ...], limits: Limits) -> AgentJobSpec:
    """A specification for a run in memory: each table's topic has the table's name."""
    kind = type(agent.instance)
    tables = sorted({table for table, _ in agent.handlers})
    return AgentJobSpec(
        name=kind.__name__,
        entry_point=f"{kind.__module__}:{kind.__qualname__}",
        inputs=tuple(InputTopic(topic=table, table=table) for table in tables),
        key=key,
        outputs=OutputTopics(decisions="decisions", outcomes="outcomes", dead_letters="dead-letters"),
        kafka=KafkaSpec(bootstrap_servers="none", transaction_timeout_ms=1, max_request_bytes=1),
        model=None,
        limits=limits,
        runtime=RuntimeSpec(tick_ms=10),
        shards=1,
        parallelism=1,
        max_parallelism=1,
    )


class _Script:
    def __init__(self, answer: ScriptedModel, requests: list[ChatRequest]) -> None:
        self._answer = answer
        self._requests = requests

    async def complete(self, request: ChatRequest) -> Reply[str | BaseModel]:
        self._requests.append(request)
        return Reply(self._answer(request))

    async def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Ended:
    result: RunResult | None


class _AtOnce:
    """A runner whose runs end before :meth:`start` returns."""

    def __init__(self, runs: AgentRuns, model: ChatModel | None) -> None:
        self._runs = runs
        self._model = model

    def start(self, request: RunRequest) -> RunHandle:
        return _Ended(asyncio.run(self._runs.run(request, self._model)))

    def wait(self) -> None:
        pass

    def close(self) -> None:
        pass


class _DictState:
    def __init__(self, entries: dict[bytes, bytes]) -> None:
        self._entries = entries

    def get(self, key: bytes) -> bytes | None:
        return self._entries.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self._entries[key] = value

    def remove(self, key: bytes) -> None:
        self._entries.pop(key, None)
