"""Entries of a checkpoint's RocksDB files, read by Flink's own RocksDB in a Java process."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from headrace.errors import HeadraceError
from headrace.state.keyed import Entry
from headrace.toolchain.jdk import java

PROGRAM = Path(__file__).with_name("RocksDbEntries.java")
_LENGTHS = struct.Struct(">iii")


def entries(folder: Path, flink: Path) -> Iterator[Entry]:
    """Every entry of the database in a folder that has all of its files, under their own names.

    Raises:
        HeadraceError: RocksDB can't read it.
    """
    jars = ":".join(map(str, sorted((flink / "lib").glob("flink-dist-*.jar"))))
    command = [java(), "-cp", jars, str(PROGRAM), str(folder)]
    with (folder / "errors").open("w+") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None  # noqa: S101 - said to mypy: it is a pipe
        with process.stdout as output:
            while lengths := output.read(_LENGTHS.size):
                yield _entry(output, lengths)
        if process.wait():
            errors.seek(0)
            raise HeadraceError(f"the checkpoint's files can't be read by RocksDB: {errors.read()[-1000:]}")


def _entry(output: IO[bytes], lengths: bytes) -> Entry:
    state, key, value = (output.read(length) for length in _LENGTHS.unpack(lengths))
    return Entry(state.decode(), key, value)
