"""An upgrade undone: the earlier version goes on from the cutover, and decides nothing that is decided.

What the undone version decided is noted in the journal topic before the earlier version starts; see
:mod:`headrace_agents.catching_up`. Each event of that kind is reported by its shard.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from pydantic import ValidationError

from headrace.local.topics import read_topic, write_to
from headrace.upgrades.record import CaughtUp
from headrace.waiting import POLL_SECONDS, WaitCancelled, cancelled
from headrace_agents.catching_up import note
from headrace_agents.control import Report
from headrace_agents.journal import encode_claim, encode_step
from headrace_agents.records import Outcome
from headrace_agents.spec import AgentJobSpec

CAUGHT_UP_TIMEOUT_S = 90
NO_NOTES = "the agent keeps no journal (`journal: none`), or delivers at least once: it was decided again"


def note_decided(spec: AgentJobSpec, rollback: str, decided: Sequence[Outcome]) -> None:
    """Note events as decided, in the journal of their shards. No job of the agent may run.

    Raises:
        HeadraceError: Kafka did not take all of it; what it took does no harm, and it can be done again.
    """
    if not _can_be_noted(spec):
        return
    owner = uuid.uuid4().bytes
    shards = sorted({outcome.shard for outcome in decided if outcome.shard is not None})
    _append(spec, ((shard, encode_claim(shard, owner)) for shard in shards))
    _append(
        spec,
        (
            (outcome.shard, encode_step(outcome.shard, owner, note(rollback, outcome)))
            for outcome in decided
            if outcome.shard is not None
        ),
    )


def catch_up(
    spec: AgentJobSpec, rollback: str, decided: Sequence[Outcome], reports: Mapping[int, int]
) -> CaughtUp:
    """Wait until the shards have told of all of these events; `reports` is where the topic ended before."""
    dead = sum(outcome.status == "dead_lettered" for outcome in decided)
    if not _can_be_noted(spec):
        again = tuple(f"{outcome.position.place}: {NO_NOTES}" for outcome in decided)
        return CaughtUp(decided=len(decided), dead_lettered=dead, in_memory=0, not_in_memory=again)
    deadline = time.monotonic() + CAUGHT_UP_TIMEOUT_S
    while True:
        told = list(_told(spec, rollback, reports))
        problems = {each.key: each.reason for report in told for each in report.problems}
        unset = unset_reminders(decided, problems)
        missing = len(decided) - len(told) - len(unset)
        if missing <= 0 or time.monotonic() > deadline:
            break
        if cancelled.wait(POLL_SECONDS * 5):
            raise WaitCancelled("cancelled while the earlier version catches up")
    reasons = problems | dict.fromkeys(unset, "a reminder of an event that is not in memory: it was not set")
    return CaughtUp(
        decided=len(decided),
        dead_lettered=dead,
        in_memory=sum(not report.problems and "decided" in report.counts for report in told),
        not_in_memory=tuple(f"{event}: {reason}" for event, reason in reasons.items()),
        unreported=max(0, missing),
    )


def _can_be_noted(spec: AgentJobSpec) -> bool:
    """Without a journal there is no place for it, and without transactions an outcome that is in Kafka says
    nothing of the decisions: then it is decided again, with the same ids."""
    return spec.journal.write_ahead != "none" and spec.kafka.delivery == "exactly-once"


def unset_reminders(decided: Sequence[Outcome], not_in_memory: Collection[str]) -> set[str]:
    """Reminders that had come, and come no more: what set them is not in memory, or is one of them."""
    unset: set[str] = set()
    while True:
        found = {
            outcome.position.place
            for outcome in decided
            if outcome.origin is not None and outcome.origin.position.place in {*not_in_memory, *unset}
        }
        found -= set(not_in_memory)
        if found == unset:
            return unset
        unset = found


def _told(spec: AgentJobSpec, rollback: str, offsets: Mapping[int, int]) -> Iterator[Report]:
    for record in read_topic(spec.kafka, spec.outputs.reports, offsets=offsets):
        try:
            report = Report.model_validate_json(record.value or b"")
        except ValidationError:
            continue
        if report.command == rollback:
            yield report


def _append(spec: AgentJobSpec, records: Iterable[tuple[int, bytes]]) -> None:
    """Each to its shard's partition of the journal topic."""
    partitions = spec.journal.partitions
    write_to(spec.kafka, spec.journal.topic, ((shard % partitions, None, value) for shard, value in records))
