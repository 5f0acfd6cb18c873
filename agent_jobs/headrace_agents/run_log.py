"""What a run did, step by step, as it is told once the run has ended: no prompt and no memory is in it,
unless the declaration wants prompts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from pydantic import model_validator

from headrace_agents.records import EventRef, Position, Reason, Record, Status
from headrace_agents.step_protocol import StepKind

MOST_BYTES = 1024 * 1024
"""Of the steps of one run as JSON: far below what the topic takes, as a run is never to fail by its log."""


class _Record(Record):
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

    @model_validator(mode="before")
    @classmethod
    def _writable(cls, given: Any) -> Any:
        """Models that are cut off send half a character, which UTF-8 has no bytes for."""
        return _escaped(given)


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
    truncated: bool = False
    """Prompts, answers or steps were left out: see :func:`bounded`."""


RunLogDetail = Literal["none", "steps", "prompts"]


def run_id(agent: str, position: Position) -> str:
    """32 hex digits, as OpenTelemetry's trace ids are."""
    return hashlib.sha256("\0".join(("run", agent, *map(str, position))).encode()).hexdigest()[:32]


class Bounded(NamedTuple):
    steps: tuple[StepLog, ...]
    truncated: bool


def bounded(steps: Sequence[StepLog], most_bytes: int = MOST_BYTES) -> Bounded:
    """No more than so many bytes: prompts and answers are left out, the earliest first, as a later prompt of
    a chat holds what was said before it; then steps, from the middle."""
    kept, sizes = list(steps), [len(step.encode()) for step in steps]
    over = sum(sizes) - most_bytes
    if over <= 0:
        return Bounded(tuple(kept), truncated=False)
    for at, step in enumerate(kept):
        if over <= 0:
            break
        kept[at] = step.model_copy(update={"prompt": None, "answer": None})
        before, sizes[at] = sizes[at], len(kept[at].encode())
        over -= before - sizes[at]
    begin = end = len(kept) // 2
    while over > 0:
        if begin + end >= len(kept):
            begin -= 1
            over -= sizes[begin]
        else:
            over -= sizes[end]
            end += 1
    return Bounded((*kept[:begin], *kept[end:]), truncated=True)


def _escaped(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {_escaped(name): _escaped(each) for name, each in value.items()}
        case list() | tuple():
            return [_escaped(each) for each in value]
    return value
