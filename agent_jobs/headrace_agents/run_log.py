"""What a run did, step by step, as it is told once the run has ended: no prompt and no memory is in it,
unless the declaration wants prompts.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from headrace_agents.records import EventRef, Position, Reason, Status
from headrace_agents.step_protocol import StepKind


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def encode(self) -> bytes:
        return self.model_dump_json(exclude_defaults=True).encode()


class StepLog(_Record):
    """One step. Milliseconds since the epoch."""

    name: str
    """With its place among those of this name: ``model#0``; a step within a tool has the tool's before it:
    ``tool:refund#0/pay#0``."""
    kind: StepKind
    started_at_ms: int
    finished_at_ms: int
    read_back: bool = False
    """It had finished before a failure, and was not done again."""
    error: str | None = None
    """The kind of a ModelError, or the exception's class; None where it ended well."""
    attempts: int = 0
    """Calls to the model."""
    model: str = ""
    """That answered."""
    cached: bool = False
    """The answer was made for an equal call, which has paid."""
    input_tokens: int = 0
    """Of all attempts that were billed."""
    output_tokens: int = 0
    picodollars: int = 0
    prompt: list[dict[str, Any]] | None = None
    """Messages, where prompts are declared to be kept."""
    answer: str | None = None


class RunLog(_Record):
    """One run, by its event."""

    id: str
    """The same however often the event is decided: :func:`run_id`."""
    agent: str
    key_hash: str
    event: EventRef
    status: Status
    reason: Reason | None = None
    decisions: int = 0
    settings_version: int = 0
    accepted_at_ms: int
    started_at_ms: int
    finished_at_ms: int
    steps: tuple[StepLog, ...] = ()
    """In the order of their end."""


RunLogDetail = Literal["none", "steps", "prompts"]


def run_id(agent: str, position: Position) -> str:
    """32 hex digits, as OpenTelemetry's trace ids are."""
    return hashlib.sha256("\0".join(("run", agent, *map(str, position))).encode()).hexdigest()[:32]
