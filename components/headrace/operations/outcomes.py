"""Waiting for what becomes of events that were just written to a feedback topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaException

from headrace.errors import HeadraceError
from headrace.local.topics import kept, no_answer, write
from headrace.operations.decisions import committed_reader
from headrace_agents.records import Outcome, Position
from headrace_agents.spec import AgentJobSpec

POLL_S = 0.2
CHECKPOINTS_S = 60


def write_and_wait(
    spec: AgentJobSpec,
    topic: str,
    records: Sequence[tuple[bytes | None, bytes | None]],
    heard: Callable[[int], None],
    *,
    wait_s: float,
) -> tuple[list[Position], dict[Position, Outcome]]:
    """Write events and wait for their outcomes; ``wait_s`` 0 waits for none.

    Returns where they are, and the outcomes that came in time. `heard` is given how many there are.
    """
    found: dict[Position, Outcome] = {}
    try:
        reader = committed_reader(spec.kafka.bootstrap_servers, [spec.outputs.outcomes], from_beginning=False)
        with reader as consumer:
            written = write(spec.kafka, topic, records)
            missing = set(written)
            deadline = time.monotonic() + wait_s
            while missing and time.monotonic() < deadline:
                message = consumer.poll(POLL_S)
                if message is None:
                    continue
                error = message.error()
                if error is not None:
                    if not error.retriable():
                        raise HeadraceError(f"reading {spec.outputs.outcomes}: {error.str()}")
                    continue
                outcome = Outcome.model_validate_json(kept(message).value or b"")
                position = outcome.position
                if position in missing:
                    missing.discard(position)
                    found[position] = outcome
                    heard(len(found))
    except KafkaException as error:
        raise no_answer(error) from error
    return written, found


def patience_s(spec: AgentJobSpec, events: int) -> float:
    """Events of one key run one after the other."""
    return CHECKPOINTS_S + spec.limits.run_deadline_ms / 1000 * min(events, 10)
