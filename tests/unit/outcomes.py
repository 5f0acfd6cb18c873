"""Outcomes of events, as topics have them."""

from __future__ import annotations

from headrace_agents.records import EventRef, Outcome, Position, Times


def outcome(
    agent: str, position: Position, committed_at_ms: int | None = 900, origin: Position | None = None
) -> Outcome:
    """Of an event that was decided without a decision."""
    times = Times(
        committed_at_ms=committed_at_ms,
        kafka_at_ms=1_000,
        accepted_at_ms=1_001,
        started_at_ms=1_002,
        finished_at_ms=1_003,
        emitted_at_ms=1_004,
    )
    return Outcome(
        agent=agent,
        **position._asdict(),
        origin=None if origin is None else EventRef(**origin._asdict()),
        status="decided",
        decisions=(),
        reason=None,
        times=times,
        model_calls=0,
    )
