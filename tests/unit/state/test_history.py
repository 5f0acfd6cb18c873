"""Which snapshots are kept, by count and age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from headrace.state.history import Complete, History, past_history
from headrace.state.layout import ERASURES, PERIODIC, Place

NOW = datetime(2026, 1, 9, tzinfo=UTC)
HISTORY = History(count=3, age=timedelta(days=7))
SETTLE = timedelta(minutes=10)


def savepoint(days: float, purpose: str = "", agent: str = "triage") -> Complete:
    folder = f"s3://savepoints/{agent}/savepoint-{purpose}{days}"
    return Complete(
        Place(agent, folder, "savepoint", "_metadata", purpose=purpose), NOW - timedelta(days=days)
    )


def checkpoint(job: str, number: int, days: float) -> Complete:
    folder = f"s3://checkpoints/triage/{job}/chk-{number}"
    place = Place("triage", folder, "checkpoint", "_metadata", job, number)
    return Complete(place, NOW - timedelta(days=days))


def past(*snapshots: Complete, running: tuple[str, ...] = ()) -> set[str]:
    return set(past_history(snapshots, HISTORY, running, NOW, SETTLE))


def test_the_newest_by_count_are_kept() -> None:
    made = [savepoint(days) for days in (1, 2, 3, 4, 5)]
    assert past(*made) == {each.path for each in made[3:]}


def test_what_is_too_old_is_not_kept_but_for_the_newest() -> None:
    made = [savepoint(days) for days in (8, 9)]
    assert past(*made) == {made[1].path}
    assert past(made[1]) == set()


def test_agents_and_purposes_are_counted_apart() -> None:
    made = [savepoint(days, purpose) for days in (1, 2, 3) for purpose in ("", PERIODIC)]
    assert past(*made, *(savepoint(days, agent="other") for days in (1, 2, 3))) == set()


def test_a_savepoint_that_proves_an_erasure_is_no_history() -> None:
    assert past(*(savepoint(days, ERASURES) for days in (1, 2, 3, 4, 100))) == set()


def test_checkpoints_of_an_ended_job_are_past_once_a_later_one_has_some() -> None:
    ended, later = [checkpoint("a", n, 3) for n in (7, 8)], [checkpoint("b", n, 2) for n in (1, 2)]
    assert past(*ended) == set()
    assert past(*ended, *later) == {each.path for each in ended}
    assert past(*ended, *later, running=("a",)) == set()


def test_what_has_just_become_complete_is_dropped_later() -> None:
    made = [savepoint(minutes / 1440) for minutes in (1, 2, 3, 4, 11)]
    assert past(*made) == {made[4].path}
