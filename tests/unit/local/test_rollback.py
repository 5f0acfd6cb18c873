"""Which reminders a rollback does not wait for."""

from __future__ import annotations

from headrace.local.agent_jobs.rollback import unset_reminders
from headrace_agents.records import EventRef, Outcome, Times

TIMES = Times(
    committed_at_ms=None, kafka_at_ms=1, accepted_at_ms=1, started_at_ms=1, finished_at_ms=1, emitted_at_ms=1
)


def outcome(topic: str, offset: int, origin: tuple[str, int] | None = None) -> Outcome:
    set_by = None if origin is None else EventRef(topic=origin[0], partition=0, offset=origin[1])
    return Outcome(
        agent="a",
        topic=topic,
        partition=0,
        offset=offset,
        origin=set_by,
        status="decided",
        decisions=(),
        reason=None,
        times=TIMES,
        model_calls=0,
    )


def test_a_reminder_of_what_is_not_in_memory_comes_no_more_and_neither_does_one_that_it_set() -> None:
    first, second = outcome("first", 0, ("tickets", 7)), outcome("second", 0, ("first", 0))
    other = outcome("other", 0, ("tickets", 8))
    decided = [outcome("tickets", 7), outcome("tickets", 8), first, second, other]
    assert unset_reminders(decided, {"tickets/0/7"}) == {"first/0/0", "second/0/0"}
    assert unset_reminders(decided, set()) == set()


def test_what_is_reported_itself_is_not_counted_twice() -> None:
    replayed = outcome("replays", 3, ("tickets", 7))
    decided = [outcome("tickets", 7), replayed]
    assert unset_reminders(decided, {"tickets/0/7", "replays/0/3"}) == set()
