"""What is written down of upgrades: the newest are kept, and nobody's files but its own are touched."""

from __future__ import annotations

from pathlib import Path

from headrace.upgrades.record import KEPT, FolderHistory, Upgrade, Version, new_id

VERSION = Version(digest="d", code="c", inputs={})


def upgrade(at_ms: int, *, ended: bool = True) -> Upgrade:
    return Upgrade(
        id=new_id("triage", at_ms),
        agent="triage",
        by="somebody",
        started_at_ms=at_ms,
        before=VERSION,
        after=VERSION,
        phase="ended" if ended else "watching",
    )


def test_the_newest_are_kept(tmp_path: Path) -> None:
    history = FolderHistory(tmp_path)
    of_another = tmp_path / "of-another-headrace.json"
    of_another.write_text("{}")
    for at in range(KEPT + 5):
        history.write(upgrade(at))
    assert [each.started_at_ms for each in history.all()] == list(range(5, KEPT + 5))
    assert of_another.exists()


def test_one_that_goes_on_removes_none_and_is_found_by_the_next_command(tmp_path: Path) -> None:
    history = FolderHistory(tmp_path)
    for at in range(KEPT):
        history.write(upgrade(at))
    history.write(upgrade(KEPT, ended=False))
    assert len(history.all()) == KEPT + 1
    unfinished = history.unfinished()
    assert unfinished is not None
    assert unfinished.started_at_ms == KEPT
