"""Telling an agent's shards something, and hearing from each of them."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from confluent_kafka import KafkaException
from pydantic import ValidationError

from headrace.errors import HeadraceError
from headrace.local.topics import kept, no_answer, write
from headrace.operations.decisions import committed_reader
from headrace_agents.control import Command, CommandKind, Problem, Report, SettingsChange, records_of
from headrace_agents.spec import AgentJobSpec

POLL_S = 0.2
CHECKPOINTS_S = 60
"""A report is visible with the next checkpoint; one may be slow, or a restart may be on its way."""
SCAN_S = 600
"""Of what goes through all of a shard's state, and of draining."""


class Unreported(HeadraceError):
    """Not every shard has reported in time."""


@dataclass
class Hearing:
    """What has been heard so far about one command."""

    command: Command
    shards: int
    counts: Counter[str] = field(default_factory=Counter)
    """Of all shards together."""
    problems: list[Problem] = field(default_factory=list)
    done: set[int] = field(default_factory=set)

    def take(self, report: Report) -> bool:
        """Whether it belongs here and is new."""
        if report.command != self.command.id or report.shard in self.done:
            return False
        self.problems.extend(report.problems)
        if report.done:
            self.done.add(report.shard)
            self.counts.update(report.counts)
        return True

    @property
    def missing(self) -> list[int]:
        return [shard for shard in range(self.shards) if shard not in self.done]

    def as_json(self) -> dict[str, Any]:
        return {
            "command": self.command.kind,
            "id": self.command.id,
            "shards": self.shards,
            "counts": dict(sorted(self.counts.items())),
            "problems": [problem.model_dump() for problem in self.problems],
        }


def new_command(
    kind: CommandKind, key: tuple[Any, ...] | None = None, settings: SettingsChange | None = None
) -> Command:
    return Command(id=uuid.uuid4().hex, kind=kind, key=key, settings=settings)


def patience_s(spec: AgentJobSpec, kind: CommandKind) -> float:
    """How long all shards may take."""
    match kind:
        case "pause":
            # The runs in flight may take until their deadline.
            return CHECKPOINTS_S + spec.limits.run_deadline_ms / 1000
        case "drain" | "check" | "migrate" | "export" | "erase":
            return CHECKPOINTS_S + SCAN_S
        case _:
            return CHECKPOINTS_S


def tell(
    spec: AgentJobSpec, command: Command, wait_s: float, heard: Callable[[Report, Hearing], None]
) -> Hearing:
    """Send a command to every shard and wait until all have done it; `heard` is called with each report.

    Raises Unreported when not all have in time; the command is in effect none the less.
    """
    hearing = Hearing(command, spec.shards)
    reports = committed_reader(spec.kafka.bootstrap_servers, [spec.outputs.reports], from_beginning=False)
    try:
        with reports as consumer:
            write(spec.kafka, spec.feedback.control, records_of(command, spec.shards))
            deadline = time.monotonic() + wait_s
            while hearing.missing:
                message = consumer.poll(POLL_S)
                if message is None or (error := message.error()) is not None:
                    if message is not None and error is not None and not error.retriable():
                        raise HeadraceError(f"reading {spec.outputs.reports}: {error.str()}")
                elif (report := _report(kept(message).value)) is not None and hearing.take(report):
                    heard(report, hearing)
                if hearing.missing and time.monotonic() > deadline:
                    raise Unreported(unreported(spec.name, hearing, wait_s))
    except KafkaException as error:
        raise no_answer(error) from error
    return hearing


def unreported(agent: str, hearing: Hearing, wait_s: float) -> str:
    return (
        f"agent {agent}: no report on `{hearing.command.kind}` from {len(hearing.missing)} of "
        f"{hearing.shards} shards within {wait_s:.0f} s: {ranges(hearing.missing)}. The command stays in "
        "effect: they do it as soon as they can. Reports come with checkpoints: see `headrace status`; then "
        "run the same command again, which does no harm, or with a longer --timeout"
    )


def ranges(numbers: Iterable[int]) -> str:
    """``0-3, 7``"""
    ordered = sorted(set(numbers))
    if not ordered:
        return ""
    starts = [ordered[0], *(after for before, after in pairwise(ordered) if after > before + 1)]
    ends = [*(before for before, after in pairwise(ordered) if after > before + 1), ordered[-1]]
    return ", ".join(f"{a}-{b}" if b > a else f"{a}" for a, b in zip(starts, ends, strict=True))


def _report(value: bytes | None) -> Report | None:
    try:
        return Report.model_validate_json(value or b"")
    except ValidationError:
        # Of another version of the agent's runtime, so on a command of then.
        return None
