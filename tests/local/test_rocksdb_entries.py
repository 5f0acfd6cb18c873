"""A checkpoint's RocksDB files are read by RocksDB: what was overwritten or removed is not counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.local.rocksdb import entries
from headrace.state.keyed import Entry
from headrace.toolchain.runtimes import Runtimes
from tests.snapshots.flink import write_rocksdb


def test_every_entry_that_is_left_is_read(tmp_path: Path) -> None:
    written = [
        ("shard", "a", "1"),
        ("shard", "b", "2"),
        ("timers", "c", "3"),
        ("shard", "a", "4"),
        ("shard", "b"),
    ]
    write_rocksdb(tmp_path, written)
    assert len(list(tmp_path.glob("*.sst"))) >= 2
    found = set(entries(tmp_path, Runtimes.locate().flink))
    assert found == {Entry("shard", b"a", b"4"), Entry("timers", b"c", b"3")}


def test_a_file_that_is_missing_is_said(tmp_path: Path) -> None:
    write_rocksdb(tmp_path, [("shard", "a", "1")])
    next(tmp_path.glob("*.sst")).unlink()
    with pytest.raises(HeadraceError, match="can't be read by RocksDB"):
        list(entries(tmp_path, Runtimes.locate().flink))
