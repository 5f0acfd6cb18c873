"""What running agents stored is read whole or refused; what Flink reads in it is held to in tests/local."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.state.data_input import DataInput, Unreadable
from headrace.state.metadata import PROPERTIES, read_metadata
from headrace.state.snapshot import Metadata

GOLDEN = Path(__file__).parent / "golden"
STEP = 13
"""Every so many bytes: every one takes minutes, and fields are of other lengths."""
FOLDER = "s3://savepoints/agent/savepoint-1"
golden = pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.metadata")), ids=lambda path: path.stem)


def read(data: bytes) -> Metadata:
    return read_metadata(data, FOLDER)


@golden
def test_the_operators_that_have_state_are_those_the_job_named(path: Path) -> None:
    found = {operator.uid: operator for operator in read(path.read_bytes()).operators if operator.uid}
    assert set(found) >= {"changes", "agent", "results"}
    assert found["agent"].max_parallelism == 720
    assert sum(keyed.key_groups for subtask in found["agent"].subtasks for keyed in subtask.keyed) == 720


@pytest.mark.parametrize(
    ("name", "files", "folder"),
    [
        ("checkpoint", 4, "s3://checkpoints/support-triage/38eff1c3392b1d0f42ab144886642510/shared/"),
        ("savepoint", 0, ""),
        ("savepoint-in-files", 2, f"{FOLDER}/"),
    ],
)
def test_files_are_named_by_whole_paths(name: str, files: int, folder: str) -> None:
    found = read((GOLDEN / f"{name}.metadata").read_bytes()).files()
    assert len(found) == files
    assert all(path.startswith(folder) and size > 20_000 for path, size in found.items())


@golden
def test_metadata_that_is_cut_off_anywhere_is_refused(path: Path) -> None:
    data = path.read_bytes()
    for end in range(0, data.index(PROPERTIES) + len(PROPERTIES), STEP):
        with pytest.raises(Unreadable):
            read(data[:end])


@golden
@pytest.mark.parametrize(
    ("at", "byte", "reason"),
    [(0, 0, "it begins with"), (7, 5, "of version 5"), (7, 7, "of version 7")],
    ids=["magic", "older", "newer"],
)
def test_another_format_is_refused(path: Path, at: int, byte: int, reason: str) -> None:
    data = bytearray(path.read_bytes())
    data[at] = byte
    with pytest.raises(Unreadable, match=reason):
        read(bytes(data))


@golden
def test_no_byte_that_says_what_follows_can_be_another_one(path: Path) -> None:
    """With bytes set to a kind of handle that no version has: refused, or all that counts is the same."""
    data = path.read_bytes()
    before = read(data)
    for at in range(0, data.index(PROPERTIES), STEP):
        try:
            found = read(data[:at] + b"\x7f" + data[at + 1 :])
        except Unreadable:
            continue
        assert len(found.files()) == len(before.files())
        assert len(found.operators) == len(before.operators)


def test_text_is_javas() -> None:
    assert DataInput(b"\0\x0c\xc3\xa9\xed\xa0\xbc\xed\xbc\x8a\xc0\x80ab").text() == "\u00e9\U0001f30a\0ab"
    with pytest.raises(Unreadable, match="no modified UTF-8"):
        DataInput(b"\0\1\xff").text()


def test_a_count_is_never_more_than_what_is_left() -> None:
    with pytest.raises(Unreadable, match="a count of 2147483647"):
        DataInput(b"\x7f\xff\xff\xff").count()
