"""The agent operator as Flink's keyed process function: one instance per subtask, keyed by shard."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from headrace_agents.agent import load
from headrace_agents.flink.metrics import FlinkMetrics
from headrace_agents.flink.state import BYTES, FlinkState
from headrace_agents.flink.worker_end import end_with_task_manager
from headrace_agents.kafka_journal import KafkaJournal
from headrace_agents.loop import RunLoop
from headrace_agents.model.concurrency import concurrency_of, embedding_shared_out, shared_out
from headrace_agents.model.connecting import (
    EndpointState,
    ModelState,
    connected,
    embedding_connected,
    endpoint_state,
    state_of,
)
from headrace_agents.model.costs import CostFigures
from headrace_agents.model.kafka_ledger import KafkaLedger
from headrace_agents.model.metering import Meters
from headrace_agents.model.operations import Operation, chat, embeddings
from headrace_agents.operator import AgentOperator, memory_format
from headrace_agents.records import InputRecord, OutputRecord, Position
from headrace_agents.runs import AgentRuns
from headrace_agents.shards import shard_ids, shards_of
from headrace_agents.spec import AgentJobSpec, EmbeddingSpec, EndpointSpec, ModelSpec

if TYPE_CHECKING:
    from headrace_agents.traces import Traces

BUNDLE_EVENTS = 500
"""``python.fn-execution.bundle.size``: a bundle costs the same messages for few events as for many, and a
checkpoint waits for its end."""


class AgentFunction(KeyedProcessFunction):
    """Carries the specification as JSON to the workers; all else is made there."""

    def __init__(self, spec_json: str) -> None:
        self._spec_json = spec_json
        self._closing: Sequence[Callable[[], None]] = ()

    def open(self, runtime_context: RuntimeContext) -> None:
        end_with_task_manager()
        # It tells of every request, and each line goes through Flink's log service.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        spec = AgentJobSpec.model_validate_json(self._spec_json)
        agent = load(spec.entry_point, spec.settings)
        subtasks = runtime_context.get_number_of_parallel_subtasks()
        subtask = runtime_context.get_index_of_this_subtask()
        own = shards_of(spec.shards, spec.max_parallelism, subtasks, subtask)
        journal = _open_journal(spec, own)
        runs = AgentRuns(spec, agent, memory_format(spec, agent), clock=_now_ms, journal=journal)
        model, embedding = shared_out(spec, subtasks), embedding_shared_out(spec, subtasks)
        concurrency, costs = concurrency_of(spec, model), CostFigures()
        asked = state_of(model, subtask, subtasks, concurrency=concurrency)
        vectors = endpoint_state(embedding, subtask, subtasks)
        ledger = KafkaLedger(spec, own) if model or embedding else None
        meters = Meters(ledger, subtasks, costs) if ledger else None
        runner = RunLoop(
            runs,
            lambda: connected(model, asked, meters=meters) if model else None,
            open_embedding=lambda: (
                embedding_connected(embedding, vectors, meters=meters) if embedding else None
            ),
            concurrency=concurrency,
        )
        traces = _open_traces(spec)
        ids = shard_ids(spec.shards, spec.max_parallelism)
        # Both are there before the first bundle ends.
        self._state = state = FlinkState(runtime_context, lambda: end_bundle())  # noqa: PLW0108 - defined below
        operator = AgentOperator(
            spec,
            agent,
            runner,
            clock=_now_ms,
            bundle_events=BUNDLE_EVENTS,
            select=state.select,
            own=[ids[shard] for shard in own],
            journal=journal,
            tell=None if traces is None else traces.tell,
        )
        self._process, self._on_timer = operator.process, operator.on_timer
        others = [each for each in (ledger, journal, traces) if each is not None]
        self._closing = [operator.close, *(each.close for each in others)]
        metrics = FlinkMetrics(runtime_context.get_metrics_group(), operator.refresh_figures)
        metrics.add(operator.figures, runner.figures, costs, journal and journal.figures)
        add_endpoints(metrics, model, asked, embedding, vectors)

        def end_bundle() -> None:
            operator.end_bundle(state)
            metrics.end_bundle(is_idle=operator.is_idle)

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        timers = ctx.timer_service()
        outputs = self._process(
            ctx.get_current_key(), _record(value), self._state, timers.register_processing_time_timer
        )
        return _rows(outputs)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        timers = ctx.timer_service()
        outputs = self._on_timer(
            ctx.get_current_key(), timestamp, self._state, timers.register_processing_time_timer
        )
        return _rows(outputs)

    def close(self) -> None:
        for close in self._closing:
            close()


RECORD_TYPE = Types.ROW_NAMED(
    ["topic", "partition", "offset", "timestamp", "key", "value"],
    [Types.STRING(), Types.INT(), Types.LONG(), Types.INSTANT(), BYTES, BYTES],
)
OUTPUT_TYPE = Types.ROW_NAMED(
    ["topic", "record_key", "record_value", "headers"],
    [Types.STRING(), BYTES, BYTES, Types.MAP(Types.STRING(), BYTES)],
)


def _record(value: Row) -> InputRecord:
    topic, partition, offset, timestamp, key, data = value
    timestamp_ms = timestamp.seconds * 1000 + timestamp.nanos // 1_000_000
    return InputRecord(Position(topic, partition, offset), timestamp_ms, key, data)


def _rows(outputs: Iterator[OutputRecord]) -> Iterator[Row]:
    """An Exception fails the job, as Flink sends it on; anything else would end the worker unheard."""
    try:
        for record in outputs:
            yield Row(record.topic, record.key, record.value, record.headers)
    except (Exception, GeneratorExit):
        raise
    except BaseException as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _open_journal(spec: AgentJobSpec, own: Sequence[int]) -> KafkaJournal | None:
    if spec.journal.write_ahead == "none":
        return None
    return KafkaJournal(spec.journal, spec.kafka.bootstrap_servers, own)


def _open_traces(spec: AgentJobSpec) -> Traces | None:
    if spec.tracing is None:
        return None
    # Imported here, as it takes memory.
    from headrace_agents.traces import opened  # noqa: PLC0415

    return opened(spec.tracing, spec)


def add_endpoints(
    metrics: FlinkMetrics,
    model: ModelSpec | None,
    asked: ModelState,
    embedding: EmbeddingSpec | None,
    vectors: EndpointState,
) -> None:
    """The figures of each endpoint, with its labels."""
    metrics.add(asked.chain, asked.cache)
    if model is None:
        (alone,) = asked.endpoints
        metrics.add(alone.concurrency.figures)
    else:
        for number, (endpoint, state) in enumerate(zip(model.chain, asked.endpoints, strict=True)):
            metrics.add(*state.figures, labels=_labels(endpoint, chat(endpoint), number))
    if embedding is not None:
        metrics.add(*vectors.figures, labels=_labels(embedding, embeddings(embedding), 0))


def _labels(endpoint: EndpointSpec, asked: Operation, number: int) -> dict[str, str]:
    """As OpenTelemetry names them; ``endpoint`` is its place in the chain of fallbacks."""
    return {
        "gen_ai_operation_name": asked.name,
        "gen_ai_provider_name": asked.provider,
        "gen_ai_request_model": endpoint.name,
        "endpoint": str(number),
    }
