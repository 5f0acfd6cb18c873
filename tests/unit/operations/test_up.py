"""What `up` and `watch` print for people."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from headrace.operations.decisions import Decided
from headrace.operations.up import decision_line

OUTCOME: dict[str, Any] = {
    "agent": "triage",
    "topic": "support.public.tickets",
    "partition": 3,
    "offset": 14,
    "status": "decided",
    "reason": None,
    "times": {"committed_at_ms": 1_000},
}


def line(*decisions: dict[str, Any], **changed: Any) -> str:
    return Text.from_markup(decision_line(Decided(OUTCOME | changed, decisions, 1_430))).plain


def test_a_decision_is_one_line_with_the_time_since_the_commit() -> None:
    said = line({"kind": "TriageDecision", "decision": {"urgency": "high", "ticket_id": 7}})
    assert said == "triage  support.public.tickets/3@14  TriageDecision urgency=high ticket_id=7  0.43 s"


def test_an_event_without_a_decision_says_so() -> None:
    assert line().endswith("no decision  0.43 s")


def test_a_dead_letter_names_its_reason() -> None:
    assert line(status="dead_lettered", reason="malformed").endswith("dead letter: malformed")


def test_what_a_model_says_is_no_markup() -> None:
    assert "queue=[/red] [bold]" in line({"kind": "T", "decision": {"queue": "[/red] [bold]"}})
