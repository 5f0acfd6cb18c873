"""Which reminders a rollback does not wait for."""

from __future__ import annotations

from headrace_agents.records import Position
from headrace_agents.upgrades.rollback import unset_reminders
from tests.unit.outcomes import outcome

FIRST, OTHER = Position("tickets", 0, 7), Position("tickets", 0, 8)


def test_a_reminder_of_what_is_not_in_memory_comes_no_more_and_neither_does_one_that_it_set() -> None:
    reminder, chained, others = (Position(name, 0, 0) for name in ("first", "second", "other"))
    decided = [
        outcome("a", FIRST),
        outcome("a", OTHER),
        outcome("a", reminder, origin=FIRST),
        outcome("a", chained, origin=reminder),
        outcome("a", others, origin=OTHER),
    ]
    assert unset_reminders(decided, {"tickets/0/7"}) == {"first/0/0", "second/0/0"}
    assert unset_reminders(decided, set()) == set()


def test_what_is_reported_itself_is_not_counted_twice() -> None:
    decided = [outcome("a", FIRST), outcome("a", Position("replays", 0, 3), origin=FIRST)]
    assert unset_reminders(decided, {"tickets/0/7", "replays/0/3"}) == set()
