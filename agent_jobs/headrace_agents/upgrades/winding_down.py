"""Runs in flight, ended before their agent's job is stopped."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from headrace_agents.control import Command, Report, records_of
from headrace_agents.spec import AgentJobSpec
from headrace_agents.topics import Broker, ends, read_topic, write
from headrace_agents.upgrades.deeds import POLL_S, Pause

SLACK_S = 15
"""Beyond a run's deadline, for the word to come to each shard and its report to come back."""


def wind_down(spec: AgentJobSpec, pause: Pause = time.sleep) -> int:
    """Have all shards end their runs and start no other; returns how many had not told of it in time.

    Reports are read before their transaction ends: the next checkpoint may be far, and the job that is undone
    by a failure has forgotten its order as well.

    Raises:
        TopicError: Kafka does not answer. The order is no more in force a minute after a run's deadline.
    """
    command = Command(id=uuid.uuid4().hex, kind="wind_down")
    before = ends(Broker.of(spec), spec.outputs.reports, uncommitted=True)
    write(Broker.of(spec), spec.feedback.control, records_of(command, spec.shards))
    deadline = time.monotonic() + spec.limits.run_deadline_ms / 1000 + SLACK_S
    while True:
        missing = spec.shards - len(set(_told(spec, command, before)))
        if missing <= 0 or time.monotonic() > deadline:
            return missing
        pause(POLL_S)


def _told(spec: AgentJobSpec, command: Command, offsets: Mapping[int, int]) -> Iterator[int]:
    for record in read_topic(Broker.of(spec), spec.outputs.reports, offsets=offsets, uncommitted=True):
        try:
            report = Report.model_validate_json(record.value or b"")
        except ValidationError:
            continue
        if report.command == command.id and report.done:
            yield report.shard
