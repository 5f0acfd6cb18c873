"""Flink's own classes, in a Java process: they write metadata for tests, and say what they read in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from headrace.toolchain.runtimes import Runtimes

HERE = Path(__file__).parent
TIMEOUT_S = 120

Line = tuple[str, ...]


def write_snapshots(snapshots: Iterable[Sequence[object]]) -> None:
    """Each is the file to write, the checkpoint's number and its content; see WriteSnapshots.java."""
    _java("WriteSnapshots.java", [], "".join("\t".join(map(str, line)) + "\n" for line in snapshots))


def read_snapshots(files: Iterable[tuple[Path, str]]) -> list[Line]:
    """What Flink reads in metadata that is said to lie in a folder; see ReadSnapshots.java."""
    arguments = [str(word) for pair in files for word in pair]
    return [tuple(line.split("\t")) for line in _java("ReadSnapshots.java", arguments, "").split("\n")[:-1]]


def write_rocksdb(folder: Path, lines: Iterable[Line]) -> None:
    """Column family, key, and value, or none to remove the key; see WriteRocksDb.java."""
    _java("WriteRocksDb.java", [str(folder)], "".join("\t".join(line) + "\n" for line in lines))


def _java(program: str, arguments: Sequence[str], given: str) -> str:
    jars = ":".join(str(jar) for jar in sorted((Runtimes.locate().flink / "lib").glob("*.jar")))
    done = subprocess.run(
        [
            "java",
            "-Dfile.encoding=UTF-8",
            "-Dstdout.encoding=UTF-8",
            "-cp",
            jars,
            str(HERE / program),
            *arguments,
        ],
        input=given,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
