"""An upgrade undone: the earlier version goes on from the cutover, and decides nothing that is decided.

What the undone version decided is noted in the journal topic before the earlier version starts; see
:mod:`headrace_agents.catching_up`. Each event of that kind is reported by its shard.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from pydantic import ValidationError

from headrace_agents.catching_up import note
from headrace_agents.control import Report
from headrace_agents.journal import encode_claim, encode_step
from headrace_agents.records import Outcome
from headrace_agents.spec import AgentJobSpec
from headrace_agents.topics import Broker, ends, read_topic, write_to
from headrace_agents.upgrades.deeds import Pause, outcomes_since, settled_ends
from headrace_agents.upgrades.told import CAUGHT_UP_TIMEOUT_S, CaughtUp, Undoing

POLL_S = 1.0
NO_NOTES = "the agent keeps no journal (`journal: none`), or delivers at least once: it was decided again"


class Undone:
    """What a version decided that runs no more, between its cutover and its end."""

    def __init__(self, spec: AgentJobSpec, rollback: str, cutover: Mapping[int, int], until: Undoing) -> None:
        """`cutover`: where the topic of outcomes ended then; `rollback`: the upgrade's id."""
        self._spec, self._rollback, self._until = spec, rollback, until
        self._decided = outcomes_since(spec, cutover, until.outcomes)

    def note(self) -> None:
        """Note these events as decided, in the journal of their shards. No job of the agent may run.

        Raises:
            TopicError: Kafka did not take all of it; what it took does no harm, and it can be done again.
        """
        spec, decided = self._spec, self._decided
        if not _can_be_noted(spec):
            return
        owner = uuid.uuid4().bytes
        shards = sorted({outcome.shard for outcome in decided if outcome.shard is not None})
        _append(spec, ((shard, encode_claim(shard, owner)) for shard in shards))
        _append(
            spec,
            (
                (outcome.shard, encode_step(outcome.shard, owner, note(self._rollback, outcome)))
                for outcome in decided
                if outcome.shard is not None
            ),
        )

    def catch_up(self, pause: Pause = time.sleep) -> CaughtUp:
        """Wait until the shards have told of all of these events."""
        spec, decided = self._spec, self._decided
        dead = sum(outcome.status == "dead_lettered" for outcome in decided)
        if not _can_be_noted(spec):
            again = tuple(f"{outcome.position.place}: {NO_NOTES}" for outcome in decided)
            return CaughtUp(decided=len(decided), dead_lettered=dead, in_memory=0, not_in_memory=again)
        deadline = time.monotonic() + CAUGHT_UP_TIMEOUT_S
        while True:
            told = list(_told(spec, self._rollback, self._until.reports))
            problems = {each.key: each.reason for report in told for each in report.problems}
            unset = unset_reminders(decided, problems)
            missing = len(decided) - len(told) - len(unset)
            if missing <= 0 or time.monotonic() > deadline:
                break
            pause(POLL_S)
        reasons = problems | dict.fromkeys(
            unset, "a reminder of an event that is not in memory: it was not set"
        )
        return CaughtUp(
            decided=len(decided),
            dead_lettered=dead,
            in_memory=sum(not report.problems and "decided" in report.counts for report in told),
            not_in_memory=tuple(f"{event}: {reason}" for event, reason in reasons.items()),
            unreported=max(0, missing),
        )


def undoing(spec: AgentJobSpec, pause: Pause = time.sleep) -> Undoing:
    """Of a version that runs no more."""
    return Undoing(
        outcomes=settled_ends(spec, spec.outputs.outcomes, pause),
        reports=ends(Broker.of(spec), spec.outputs.reports),
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
    for record in read_topic(Broker.of(spec), spec.outputs.reports, offsets=offsets):
        try:
            report = Report.model_validate_json(record.value or b"")
        except ValidationError:
            continue
        if report.command == rollback:
            yield report


def _append(spec: AgentJobSpec, records: Iterable[tuple[int, bytes]]) -> None:
    """Each to its shard's partition of the journal topic."""
    partitions = spec.journal.partitions
    write_to(
        Broker.of(spec), spec.journal.topic, ((shard % partitions, None, value) for shard, value in records)
    )
