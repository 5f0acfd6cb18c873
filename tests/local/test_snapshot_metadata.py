"""Headrace reads a snapshot's metadata as Flink itself does, and refuses what it does not know."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.state.data_input import DataInput, Unreadable
from headrace.state.keyed import read_description
from headrace.state.layout import METADATA
from headrace.state.metadata import read_metadata
from headrace.state.snapshot import Inline, KeyedState, Metadata, Stream
from tests.snapshots.flink import Line, read_snapshots, write_snapshots

GOLDEN = Path(__file__).parents[1] / "unit" / "state" / "golden"
MODES = {"split": "SPLIT_DISTRIBUTE", "union": "UNION", "broadcast": "BROADCAST"}
KINDS = {"keyed": "KEY_VALUE", "timers": "PRIORITY_QUEUE"}


def as_flink_says(path: Path, read: Metadata) -> Iterator[Line]:
    """The facts that ReadSnapshots.java prints."""
    yield "snapshot", str(path), str(read.checkpoint)
    for operator in read.operators:
        sizes = str(operator.parallelism), str(operator.max_parallelism)
        yield "operator", operator.id, operator.name, operator.uid, *sizes
        yield from map(stream, operator.streams())
        for subtask in operator.subtasks:
            for each in subtask.operator:
                for state in each.states:
                    yield "list", state.name, MODES[state.distribution], str(state.partitions)
            for keyed in (*subtask.keyed, *subtask.raw_keyed):
                yield "keyed", str(keyed.first_key_group), str(keyed.key_groups)
            for keyed in subtask.keyed:
                yield from states(keyed)


def stream(given: Stream) -> Line:
    return ("inline", str(given.size)) if isinstance(given, Inline) else ("file", given.path, str(given.size))


def states(keyed: KeyedState) -> Iterator[Line]:
    if isinstance(keyed.description, Inline):
        for state in read_description(DataInput(keyed.description.data)).states:
            yield "state", state.name, KINDS[state.kind], f"{state.serializer.partition('<')[0]}Snapshot"


def assert_same(path: Path) -> None:
    folder = f"file:{path.parent}"  # a file system that Flink has without plugins
    found = as_flink_says(path, read_metadata(path.read_bytes(), folder))
    assert Counter(found) == Counter(read_snapshots([(path, folder)]))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.metadata")), ids=lambda path: path.stem)
def test_what_running_agents_stored_is_read_as_flink_reads_it(path: Path, tmp_path: Path) -> None:
    # Flink makes files of a savepoint whole below a folder that has metadata.
    assert_same(Path(shutil.copy(path, tmp_path / METADATA)))


def test_every_kind_of_handle_is_read_as_flink_reads_it(tmp_path: Path) -> None:
    path = tmp_path / METADATA
    write_snapshots([(path, 41, "every kind")])
    assert_same(path)
    assert len(read_metadata(path.read_bytes(), "s3://savepoints/agent/savepoint-1").files()) == 9


@pytest.mark.parametrize(
    ("content", "kind"),
    [("changelog", "keyed state of kind 14"), ("merged files", "state handle of kind 15")],
)
def test_a_handle_that_flink_knows_and_headrace_does_not_is_refused(
    tmp_path: Path, content: str, kind: str
) -> None:
    path = tmp_path / METADATA
    write_snapshots([(path, 1, content)])
    with pytest.raises(Unreadable, match=kind):
        read_metadata(path.read_bytes(), "s3://savepoints/agent/savepoint-1")
