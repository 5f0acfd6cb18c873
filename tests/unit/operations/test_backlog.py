"""Events that came, less those that have an outcome."""

from __future__ import annotations

from headrace.operations.backlog import Backlog
from headrace_agents.records import Position
from tests.unit.outcomes import outcome

TICKETS, ORDERS = "support.public.tickets", "support.public.orders"
READERS = {TICKETS: ("triage", "vip"), ORDERS: ("risk",)}


def test_an_event_waits_for_every_agent_that_reads_its_topic() -> None:
    backlog, first = Backlog(READERS), Position(TICKETS, 0, 7)
    backlog.came(first, 1_000)
    assert backlog.sample(1_300).oldest_ms == {"triage": 300, "vip": 300, "risk": 0}
    backlog.went(outcome("triage", first))
    assert backlog.sample(1_400).oldest_ms == {"triage": 0, "vip": 400, "risk": 0}


def test_the_oldest_one_counts() -> None:
    backlog = Backlog(READERS)
    for offset, at in enumerate((1_000, 1_500, 1_900)):
        backlog.came(Position(ORDERS, 0, offset), at)
    backlog.went(outcome("risk", Position(ORDERS, 0, 1)))
    assert backlog.sample(2_000).oldest_ms["risk"] == 1_000
    backlog.went(outcome("risk", Position(ORDERS, 0, 0)))
    assert backlog.sample(2_000).oldest_ms["risk"] == 100


def test_an_outcome_that_is_read_before_its_event_counts() -> None:
    backlog, position = Backlog(READERS), Position(ORDERS, 1, 3)
    backlog.went(outcome("risk", position))
    backlog.came(position, 1_000)
    assert backlog.sample(2_000).oldest_ms["risk"] == 0


def test_the_latest_commit_that_is_decided_is_known_by_agent() -> None:
    backlog = Backlog(READERS)
    assert backlog.sample(1_000).decided_to_ms == {}
    for offset, committed in enumerate((700, 900, None, 800)):
        backlog.went(outcome("risk", Position(ORDERS, 0, offset), committed))
    assert backlog.sample(1_000).decided_to_ms == {"risk": 900}
    assert backlog.sample(1_000) == backlog.sample(1_000)


def test_a_clock_that_is_behind_makes_no_negative_age() -> None:
    backlog = Backlog(READERS)
    backlog.came(Position(ORDERS, 0, 0), 1_005)
    assert backlog.sample(1_000).oldest_ms["risk"] == 0
