"""The agent operator's savepoint, restored by a new version's verification: what it says and leaves alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.local.files import StackFiles
from headrace.local.verification import verify
from headrace_agents.spec import AgentJobSpec
from headrace_agents.verification import Report
from tests.pipeline.sizes import in_test_local_at_full_size
from tests.verification.agents import FIRST, NEXT, OTHER_ROWS, TABLE, THINGS, WITHOUT_MIGRATION
from tests.verification.savepoints import inputs_of, spec_of, written

pytestmark = in_test_local_at_full_size("that Flink restores a savepoint for its verification")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("verified")


@pytest.fixture(scope="module")
def savepoint(root: Path) -> str:
    """Of the agent operator, stopped while one run was under way and more events of its key waited."""
    return written(spec_of(FIRST, _settings(root)), root)


@pytest.fixture(autouse=True)
def _it_is_as_it_was(root: Path, savepoint: str) -> Iterator[None]:
    before = _content(savepoint)
    yield
    assert _content(savepoint) == before
    assert not list(StackFiles(root).root.glob("tmp/verify-*")), "what was restored is removed"


def test_all_that_the_operator_kept_is_read_and_migrated(root: Path, savepoint: str) -> None:
    report = _verified(root, spec_of(NEXT, _settings(root)), savepoint)

    assert report.is_proven, report
    assert report.dead_letters == report.settings_refused == ()
    assert report.entries["memory"] == report.migrated == THINGS - 1
    assert report.memory_versions == {1: THINGS - 1}
    assert report.entries["journal"] == 1
    assert report.entries["inbox"] >= 1
    assert report.entries["reminders"] >= 1
    assert report.seconds > 0


def test_a_version_that_can_not_read_the_memories_is_told_which(root: Path, savepoint: str) -> None:
    report = _verified(root, spec_of(WITHOUT_MIGRATION, _settings(root)), savepoint)

    (found,) = report.failures
    assert (found.kind, found.total) == ("memory", THINGS - 1)
    assert found.reason == "Lines: text: Extra inputs are not permitted"
    assert {example.key for example in found.examples} <= {f"[{thing}]" for thing in range(1, THINGS)}


def test_events_that_would_be_dead_letters_are_told_and_are_no_failure(root: Path, savepoint: str) -> None:
    report = _verified(root, spec_of(OTHER_ROWS, _settings(root)), savepoint)

    assert report.is_proven
    waiting = [found for found in report.dead_letters if found.kind == "inbox"]
    assert sum(found.total for found in waiting) == report.entries["inbox"]
    assert waiting[0].examples[0].key.startswith(f"[0] at {TABLE} 0:0")
    assert any(found.kind == "reminders" for found in report.dead_letters)


def test_other_shards_and_another_max_parallelism_are_failures(root: Path, savepoint: str) -> None:
    fewer = _verified(root, spec_of(FIRST, _settings(root), shards=8), savepoint)
    assert {found.kind for found in fewer.failures} == {"shard"}
    assert not fewer.is_proven

    other = _verified(root, spec_of(FIRST, _settings(root), max_parallelism=64), savepoint)
    (found,) = other.failures
    assert found.kind == "operator"
    assert "32" in found.reason
    assert "64" in found.reason


def test_a_savepoint_that_is_not_there_is_an_error_and_no_report(root: Path) -> None:
    with pytest.raises(HeadraceError, match="Cannot find checkpoint or savepoint"):
        _verified(root, spec_of(FIRST, _settings(root)), f"file://{root}/savepoints/savepoint-none")


def _settings(root: Path) -> dict[str, str]:
    return {"folder": str(root / "seen")}


def _verified(root: Path, spec: AgentJobSpec, savepoint: str) -> Report:
    return verify(StackFiles(root), inputs_of(spec, root), savepoint)


def _content(savepoint: str) -> dict[str, str]:
    folder = Path(savepoint.removeprefix("file:"))
    files = sorted(folder.rglob("*"))
    assert files
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}
