"""Buckets as months of checkpoints leave them, and beforehand the list of what in them is an orphan."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from headrace.state.layout import METADATA
from tests.snapshots.flink import write_snapshots

S3PROXY_DIGEST = "user.user.content-md5"
"""Attribute in which it keeps an object's digest; it lists no file that has none."""
DAY_S = 86_400
AGENTS = ("support-triage", "order-risk")
JOBS, CHECKPOINTS, KEPT = 4, 25, 3
"""Of each agent, of each job, and complete ones at a job's end: 200 checkpoints, of which 18 are retained."""
ADDED, CARRIED = 2, 6
"""Shared files that a checkpoint adds, and that it refers to: RocksDB compacts older ones away."""

Reference = tuple[str, str, int]
"""``shared``, ``own`` or ``relative``; path; size: see WriteSnapshots.java."""


@dataclass
class Bucket:
    """Fills a folder that the object store serves."""

    data: Path
    live: set[str] = field(default_factory=set)
    orphans: set[str] = field(default_factory=set)
    left_alone: set[str] = field(default_factory=set)
    """Neither referred to nor orphans."""
    _metadata: list[tuple[object, ...]] = field(default_factory=list)
    _names: int = 0

    def object(self, path: str, size: int = 100, age_s: float = DAY_S) -> str:
        file = self.data / path.removeprefix("s3://")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
        os.setxattr(file, S3PROXY_DIGEST, hashlib.md5(bytes(size), usedforsecurity=False).digest())
        self.age(path, age_s)
        return path

    def age(self, path: str, age_s: float) -> None:
        then = time.time() - age_s
        os.utime(self.data / path.removeprefix("s3://"), (then, then))

    def name(self) -> str:
        """As Flink names files; in the order of a counter."""
        self._names += 1
        return str(UUID(int=self._names << 64 | self._names))

    def retain(self, folder: str, number: int, references: Sequence[Reference]) -> None:
        """Give a snapshot the metadata that makes it complete; written with all others by :meth:`close`."""
        path = self.object(f"{folder}/{METADATA}")
        flat = [word for reference in references for word in reference]
        self._metadata.append((self.data / path.removeprefix("s3://"), number, *flat))
        whole = (f"{folder}/{at}" if kind == "relative" else at for kind, at, _ in references)
        self.live |= {path, *whole}

    def close(self) -> None:
        write_snapshots(self._metadata)
        self.orphans -= self.live
        for path, *_ in self._metadata:
            self.age(f"s3://{Path(str(path)).relative_to(self.data)}", DAY_S)


def two_hundred_checkpoints(data: Path) -> Bucket:
    """Two agents with four jobs each, three savepoints, and leftovers of every kind."""
    made = Bucket(data)
    for agent in AGENTS:
        first, *others = (f"s3://checkpoints/{agent}/{job:032x}" for job in range(1, JOBS + 1))
        # The second job claimed the first one's checkpoint: that is gone, its shared files are used.
        carried = _job(made, first, kept=0)
        for job in others:
            _job(made, job, carried)
            carried = []
    _savepoints(made)
    made.close()
    return made


def _job(made: Bucket, folder: str, carried: Sequence[str] = (), kept: int = KEPT) -> list[str]:
    """Returns the shared files that its last checkpoint refers to."""
    shared: list[str] = []
    written: list[str] = []
    for number in range(1, CHECKPOINTS + 1):
        added = [made.object(f"{folder}/shared/{made.name()}") for _ in range(ADDED)]
        own = [made.object(f"{folder}/chk-{number}/{made.name()}") for _ in range(2)]
        shared = [*shared, *added][-CARRIED:]
        written += [*added, *own]
        if number > CHECKPOINTS - kept:
            references: list[Reference] = [("shared", path, 100) for path in (*carried, *shared)]
            references += [("own", path, 100) for path in own]
            made.retain(f"{folder}/chk-{number}", number, references)
            written.append(
                made.object(f"{folder}/chk-{number}/{made.name()}")
            )  # of an attempt that was repeated
    made.orphans |= set(written)
    made.left_alone.add(made.object(f"{folder}/taskowned/{made.name()}"))
    being_written = made.object(f"{folder}/chk-{CHECKPOINTS + 1}/{made.name()}", age_s=0)
    made.left_alone |= {being_written, made.object(f"{folder}/shared/{made.name()}", age_s=0)}
    return shared


def _savepoints(made: Bucket) -> None:
    shared = min(path for path in made.orphans - made.live if "/shared/" in path)
    for number, purpose in enumerate(("", "_periodic/", "_erasures/"), 1):
        folder = f"s3://savepoints/{purpose}{AGENTS[0]}/savepoint-00000{number}-{number:012x}"
        made.object(f"{folder}/keyed")
        # A savepoint's files are its own; one that refers to a checkpoint's must keep it all the same.
        made.retain(folder, number, [("relative", "keyed", 100), ("shared", shared, 100)])
        made.orphans.add(made.object(f"{folder}/{made.name()}"))
    incomplete = f"s3://savepoints/{AGENTS[1]}/savepoint-abcdef-0123456789ab"
    made.orphans.add(made.object(f"{incomplete}/keyed"))
    made.left_alone.add(
        made.object(f"s3://savepoints/{AGENTS[1]}/savepoint-abcdef-ba9876543210/keyed", age_s=0)
    )
