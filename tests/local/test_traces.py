"""Runs arrive as traces where they are declared to be sent."""

from __future__ import annotations

from headrace_agents.run_log import run_id
from tests.pipeline.plugin import Pipeline
from tests.pipeline.waiting import until
from tests.standins.otlp import Receiver, Span

AGENT, TOPIC = "support-triage", "support.public.tickets"
CUSTOMER = 9_300
ARRIVED_TIMEOUT_S = 30


def test_a_run_arrives_as_one_trace_with_its_calls_and_without_its_prompts(
    pipeline: Pipeline, receiver: Receiver
) -> None:
    (ticket,) = pipeline.load.insert(1, customer=CUSTOMER)
    pipeline.verify()
    (position,) = (
        record.position
        for record in pipeline.ledger.book().changes
        if record.position.topic == TOPIC
        and not record.injected
        and (record.json.get("after") or {}).get("id") == ticket
    )
    trace = run_id(AGENT, position)

    def arrived() -> list[Span]:
        """Whole: the run's own span is sent with those of its steps."""
        spans = [span for span in receiver.spans if span.trace == trace]
        return spans if any(span.name.startswith("invoke_agent") for span in spans) else []

    spans = until("the run's trace", arrived, ARRIVED_TIMEOUT_S, lambda: len(receiver.spans))
    (root,) = (span for span in spans if not span.parent)
    assert root.name == f"invoke_agent {AGENT}"
    assert root.resource["service.name"] == AGENT
    assert root.attributes["headrace.status"] == "decided"
    assert root.attributes["messaging.kafka.offset"] == position.offset
    (call, *_) = (span for span in spans if span.name == "chat scripted-triage")
    assert call.parent == root.id
    assert call.attributes["gen_ai.usage.input_tokens"] > 0
    assert call.attributes["gen_ai.provider.name"] == "openai"
    assert not any("messages" in name for span in spans for name in span.attributes)
