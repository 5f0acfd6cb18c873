"""Which snapshot an agent goes on from."""

from headrace.local.snapshots import Snapshot


def test_the_newest_wins() -> None:
    old = Snapshot("2026-01-01T00:00:00.000Z", False, 9, "s3://checkpoints/a/1/chk-9")
    new = Snapshot("2026-01-01T00:00:01.000Z", False, 1, "s3://checkpoints/a/2/chk-1")
    assert max([new, old]) is new


def test_in_the_same_second_the_savepoint_that_ended_the_job_wins() -> None:
    checkpoint = Snapshot("2026-01-01T00:00:00Z", False, 12, "s3://checkpoints/a/1/chk-12")
    savepoint = Snapshot("2026-01-01T00:00:00Z", True, 0, "s3://savepoints/a/savepoint-1")
    assert max([savepoint, checkpoint]) is savepoint


def test_in_the_same_second_the_later_checkpoint_wins() -> None:
    first, second = (
        Snapshot("2026-01-01T00:00:00Z", False, n, f"s3://checkpoints/a/1/chk-{n}") for n in (9, 10)
    )
    assert max([second, first]) is second
