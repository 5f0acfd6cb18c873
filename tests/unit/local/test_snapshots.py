"""Which snapshot an agent goes on from."""

from datetime import UTC, datetime, timedelta

from headrace.local.snapshots import Snapshot

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_the_newest_wins() -> None:
    old = Snapshot(NOON, False, 9, "s3://checkpoints/a/1/chk-9")
    new = Snapshot(NOON + timedelta(seconds=1), False, 1, "s3://checkpoints/a/2/chk-1")
    assert max([new, old]) is new


def test_in_the_same_second_the_savepoint_that_ended_the_job_wins() -> None:
    checkpoint = Snapshot(NOON, False, 12, "s3://checkpoints/a/1/chk-12")
    savepoint = Snapshot(NOON, True, 0, "s3://savepoints/a/savepoint-1")
    assert max([savepoint, checkpoint]) is savepoint


def test_in_the_same_second_the_later_checkpoint_wins() -> None:
    first, second = (Snapshot(NOON, False, n, f"s3://checkpoints/a/1/chk-{n}") for n in (9, 10))
    assert max([second, first]) is second
