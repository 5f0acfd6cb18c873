"""After a rollback: what another version had decided already is brought into memory, and put out by nobody.

An upgrade that is undone goes on from the savepoint of its cutover, and the source brings every event since
then again. The outcomes of those that the other version decided are in Kafka already. So a claim and a note
of each such event are put into the journal topic before the earlier version starts
(:mod:`headrace_agents.journal`); they go into state with their events, as steps that were written ahead do.
A run of such an event reads its steps back from the journal, makes none, and puts nothing out: memory and
reminders are what it changes. Where a step is not in the journal, memory stays as it was. Either way the
shard reports it.
"""

from __future__ import annotations

from collections.abc import Iterable

from headrace_agents.codec import INPUT_DIGEST_BYTES, JournalEntry
from headrace_agents.control import Problem, Report
from headrace_agents.journal import Written
from headrace_agents.records import Outcome, Position, Record, Status

_NOTE = "\0decided before"
"""In the place of a step's name; no text that an author writes begins so."""


class MissingStepError(BaseException):
    """A step that the journal does not have, of a run that may make none.

    No Exception, so that no agent's code takes it for its own.
    """


class DecidedBefore(Record):
    """That another version decided an event."""

    rollback: str
    """Id of the upgrade that was undone."""
    status: Status
    """A dead letter, as the event of an erased key, changed no memory."""


def note(rollback: str, outcome: Outcome) -> Written:
    """What the journal topic is to have of an outcome that is in Kafka already."""
    before = DecidedBefore(rollback=rollback, status=outcome.status)
    entry = JournalEntry(_NOTE, 0, bytes(INPUT_DIGEST_BYTES), before.encode())
    return Written(outcome.position, outcome.times.accepted_at_ms, entry)


def decided_before(journal: Iterable[JournalEntry]) -> DecidedBefore | None:
    """What the journal of an event says of it."""
    for entry in journal:
        if is_note(entry):
            return DecidedBefore.model_validate_json(entry.result)
    return None


def is_note(entry: JournalEntry) -> bool:
    """Whether it says that an event was decided, and is no step."""
    return entry.name == _NOTE


def caught_up(before: DecidedBefore, shard: int, event: Position, problem: str) -> Report:
    """What a shard says of such an event; `problem` is empty where memory has it now."""
    return Report(
        command=before.rollback,
        kind="catch_up",
        shard=shard,
        done=True,
        counts={before.status: 1},
        problems=(Problem(what="event", key=event.place, reason=problem),) if problem else (),
    )
