"""Spans of a run, as a receiver of OTLP gets them over gRPC."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from headrace_agents.model.operations import Operation
from headrace_agents.records import EventRef, Position
from headrace_agents.run_log import RunLog, StepLog, run_id
from headrace_agents.spec import TracingSpec
from headrace_agents.traces import Traces, is_sampled, spans_of
from tests.standins.otlp import receiving

ID = run_id("triage", Position("support.public.tickets", 3, 41))
OPERATIONS = {"small": Operation("chat", "openai"), "vectors": Operation("embeddings", "aws.bedrock")}


def step(name: str, kind: Any, begun: int, ended: int, **more: Any) -> StepLog:
    return StepLog(name=name, kind=kind, started_at_ms=begun, finished_at_ms=ended, **more)


LOG = RunLog(
    id=ID,
    agent="triage",
    key_hash="abc",
    event=EventRef(topic="support.public.tickets", partition=3, offset=41),
    status="decided",
    decisions=1,
    settings_version=2,
    accepted_at_ms=1_000,
    started_at_ms=1_010,
    finished_at_ms=1_500,
    steps=(
        step(
            "model#0",
            "model",
            1_010,
            1_200,
            model="small",
            attempts=2,
            input_tokens=10,
            picodollars=3_500_000,
        ),
        step("tool:refund#0/pay#0", "step", 1_220, 1_230),
        step("tool:refund#0", "tool", 1_210, 1_240, error="ValueError"),
        step("near#0", "model", 1_250, 1_300, model="vectors", attempts=1),
        step("model#1", "model", 1_310, 1_400, error="timeout", attempts=3),
    ),
)


def spans(log: RunLog = LOG) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans_of(log, OPERATIONS)}


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_run_is_a_trace_by_its_own_id() -> None:
    root = spans()["invoke_agent triage"]
    assert root.context is not None
    assert (format(root.context.trace_id, "032x"), root.parent) == (ID, None)
    assert (root.start_time, root.end_time) == (1_010_000_000, 1_500_000_000)
    assert attributes(root) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "triage",
        "gen_ai.conversation.id": "abc",
        "messaging.destination.name": "support.public.tickets",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 41,
        "headrace.status": "decided",
        "headrace.decisions": 1,
        "headrace.settings_version": 2,
        "headrace.waited_ms": 10,
    }


def test_decided_again_it_is_the_same_trace() -> None:
    again = [span.context for span in spans_of(LOG.model_copy(update={"finished_at_ms": 9_000}), OPERATIONS)]
    assert again == [span.context for span in spans_of(LOG, OPERATIONS)]
    assert len({context.span_id for context in again if context}) == len(LOG.steps) + 1


def test_steps_are_below_their_run_and_those_of_a_tool_below_the_tool() -> None:
    found = spans()
    root, tool = found["invoke_agent triage"].context, found["execute_tool refund"].context
    above = {name: span.parent for name, span in found.items()}
    assert above == {
        "invoke_agent triage": None,
        "chat small": root,
        "pay": tool,
        "execute_tool refund": root,
        "embeddings vectors": root,
        "chat": root,
    }


def test_a_call_says_what_it_took() -> None:
    found = spans()
    call = found["chat small"]
    assert call.kind is SpanKind.CLIENT
    assert attributes(call) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "small",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 0,
        "headrace.attempts": 2,
        "headrace.cached": False,
        "headrace.cost_microdollars": 3.5,
        "headrace.read_back": False,
    }
    assert attributes(found["embeddings vectors"])["gen_ai.provider.name"] == "aws.bedrock"
    failed = found["chat"]
    assert (failed.status.status_code, attributes(failed)["error.type"]) == (StatusCode.ERROR, "timeout")
    assert attributes(found["execute_tool refund"])["gen_ai.tool.name"] == "refund"


def test_prompts_are_in_them_where_the_log_has_them_and_nowhere_else() -> None:
    secret = [{"role": "user", "content": "my number is 4711"}]
    told = StepLog.model_validate({**LOG.steps[0].model_dump(), "prompt": secret, "answer": "4711, noted"})
    assert "4711" not in str([attributes(span) for span in spans().values()])
    with_prompts = spans(LOG.model_copy(update={"steps": (told,)}))["chat small"]
    assert "4711" in str(attributes(with_prompts)["gen_ai.input.messages"])
    assert attributes(with_prompts)["gen_ai.output.messages"] == "4711, noted"


def test_of_many_runs_the_declared_share_is_told_of_always_the_same() -> None:
    runs = [run_id("triage", Position("topic", 0, offset)) for offset in range(4_000)]
    traced = {run for run in runs if is_sampled(run, 0.25)}
    assert 900 < len(traced) < 1_100
    assert traced <= {run for run in runs if is_sampled(run, 0.5)}
    assert all(is_sampled(run, 1) for run in runs)


def test_a_receiver_of_otlp_gets_them() -> None:
    with receiving() as receiver:
        endpoint = f"http://127.0.0.1:{receiver.port}"
        traces = Traces(TracingSpec(endpoint=endpoint, share=1), OPERATIONS)
        traces.tell(LOG)
        traces.close()
    assert sorted(span.name for span in receiver.spans) == sorted(spans())


def test_a_receiver_that_is_gone_holds_up_nobody() -> None:
    traces = Traces(TracingSpec(endpoint="http://127.0.0.1:1", share=1), OPERATIONS)
    for _ in range(5_000):
        traces.tell(LOG)
    traces.close()
