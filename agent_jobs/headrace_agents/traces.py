"""Runs as traces of OpenTelemetry: what the log of a run says, as spans, once it has ended.

A run's trace id is its own id, so that one that is decided again after a failure is the same trace. Names and
attributes are those of https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/. Prompts and
answers are in them where the run's log has them, and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from headrace_agents.model.amounts import PICODOLLARS_PER_MICRODOLLAR
from headrace_agents.model.operations import Operation, operations_of
from headrace_agents.run_log import RunLog, StepLog
from headrace_agents.spec import AgentJobSpec, TracingSpec

_TIMEOUT_S, _CLOSE_S = 10, 3
_SCOPE = InstrumentationScope("headrace_agents")
_UNANSWERED = Operation("chat", "")
_NS_IN_MS = 1_000_000
_ID_HEX_CHARS = 16
"""Of a span's id, and of as much of a trace's as decides whether it is sampled."""


class Traces:
    """Sends spans from a thread of its own. What the receiver does not take in time is dropped, and never
    waited for."""

    def __init__(
        self, tracing: TracingSpec, operations: Mapping[str, Operation], exporter: SpanExporter | None = None
    ) -> None:
        self._share, self._operations = tracing.share, operations
        self._exporter = exporter or OTLPSpanExporter(
            endpoint=tracing.endpoint, insecure=tracing.endpoint.startswith("http://"), timeout=_TIMEOUT_S
        )
        self._spans = BatchSpanProcessor(self._exporter)

    def tell(self, log: RunLog) -> None:
        if is_sampled(log.id, self._share):
            for span in spans_of(log, self._operations):
                self._spans.on_end(span)

    def close(self) -> None:
        """Sends what is left, for no longer than is worth it."""
        closing = threading.Thread(target=self._spans.shutdown, name="headrace-traces", daemon=True)
        closing.start()
        closing.join(_CLOSE_S)
        if closing.is_alive():
            self._exporter.shutdown()


def opened(tracing: TracingSpec, spec: AgentJobSpec) -> Traces:
    """Of an agent."""
    return Traces(tracing, operations_of(spec))


def is_sampled(run: str, share: float) -> bool:
    """By the run's id alone, so that all that is told of a run agrees."""
    below: float = share * 16**_ID_HEX_CHARS
    return int(run[:_ID_HEX_CHARS], 16) < below


def spans_of(log: RunLog, operations: Mapping[str, Operation]) -> Iterator[ReadableSpan]:
    """The span of the run, then those of its steps; a step within a tool is below the tool's.

    By model, ``operations`` are what is asked of it.
    """
    resource = Resource({"service.name": log.agent, "service.namespace": "headrace"})
    root = _context(log, "")
    attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": log.agent,
        "gen_ai.conversation.id": log.key_hash,
        "messaging.destination.name": log.event.topic,
        "messaging.destination.partition.id": str(log.event.partition),
        "messaging.kafka.offset": log.event.offset,
        "headrace.status": log.status,
        "headrace.decisions": log.decisions,
        "headrace.settings_version": log.settings_version,
        "headrace.waited_ms": log.started_at_ms - log.accepted_at_ms,
        **({"error.type": log.reason} if log.reason else {}),
    }
    yield ReadableSpan(
        name=f"invoke_agent {log.agent}",
        context=root,
        resource=resource,
        attributes=attributes,
        kind=SpanKind.INTERNAL,
        status=_status(log.reason),
        start_time=log.started_at_ms * _NS_IN_MS,
        end_time=log.finished_at_ms * _NS_IN_MS,
        instrumentation_scope=_SCOPE,
    )
    names = {step.name for step in log.steps}
    for step in log.steps:
        above, _, _ = step.name.rpartition("/")
        name, kind, of_its_kind = _described(step, operations)
        yield ReadableSpan(
            name=name,
            context=_context(log, step.name),
            parent=_context(log, above) if above in names else root,
            resource=resource,
            attributes={**of_its_kind, **_of_any(step)},
            kind=kind,
            status=_status(step.error),
            start_time=step.started_at_ms * _NS_IN_MS,
            end_time=step.finished_at_ms * _NS_IN_MS,
            instrumentation_scope=_SCOPE,
        )


def _context(log: RunLog, step: str) -> SpanContext:
    span = hashlib.sha256(f"{log.id}\0{step}".encode()).hexdigest()[:_ID_HEX_CHARS]
    return SpanContext(
        int(log.id, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


def _status(error: str | None) -> Status:
    return Status(StatusCode.OK) if error is None else Status(StatusCode.ERROR, error)


def _described(step: StepLog, operations: Mapping[str, Operation]) -> tuple[str, SpanKind, dict[str, Any]]:
    """Name, kind, and the attributes that go with them."""
    _, _, last = step.name.rpartition("/")
    called, _, _ = last.partition("#")
    match step.kind:
        case "model":
            asked = operations.get(step.model, _UNANSWERED)
            return f"{asked.name} {step.model}".strip(), SpanKind.CLIENT, _of_a_call(step, asked)
        case "tool":
            tool = called.removeprefix("tool:")
            attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool}
            return f"execute_tool {tool}", SpanKind.INTERNAL, attributes
        case "step":
            return called, SpanKind.INTERNAL, {}


def _of_a_call(step: StepLog, asked: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "gen_ai.operation.name": asked.name,
        "gen_ai.usage.input_tokens": step.input_tokens,
        "gen_ai.usage.output_tokens": step.output_tokens,
        "headrace.attempts": step.attempts,
        "headrace.cached": step.cached,
        "headrace.cost_microdollars": step.picodollars / PICODOLLARS_PER_MICRODOLLAR,
    }
    if step.model:
        found["gen_ai.request.model"] = step.model
    if asked.provider:
        found["gen_ai.provider.name"] = asked.provider
    if step.prompt is not None:
        found["gen_ai.input.messages"] = json.dumps(step.prompt)
    if step.answer is not None:
        found["gen_ai.output.messages"] = step.answer
    return found


def _of_any(step: StepLog) -> dict[str, Any]:
    return {"headrace.read_back": step.read_back, **({"error.type": step.error} if step.error else {})}
