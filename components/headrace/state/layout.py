"""Where in the buckets what lies: Flink's layout below the folder that each agent has of its own.

``checkpoints/AGENT/JOB/{chk-N,shared,taskowned}/FILE`` (``FsCheckpointStorageAccess``) and
``savepoints/AGENT/savepoint-XXXXXX-XXXXXXXXXXXX/FILE`` (``AbstractFsCheckpointStorageAccess``). Savepoints
of a job that went on after them are in folders of their own before AGENT: no agent goes on from one of
these by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from headrace.plan.state_storage import CHECKPOINTS, SAVEPOINTS

METADATA = "_metadata"
BUCKETS = (CHECKPOINTS, SAVEPOINTS)
ERASURES, PERIODIC, PROOFS = "_erasures", "_periodic", "_proofs"
SHARED, TASK_OWNED = "shared", "taskowned"

_AGENT = r"(?P<agent>[a-z][a-z0-9-]*)"
_PLACES = {
    CHECKPOINTS: re.compile(
        rf"{_AGENT}/(?P<job>[0-9a-f]{{32}})/(?P<part>chk-(?P<number>\d+)|{SHARED}|{TASK_OWNED})/(?P<file>.+)"
    ),
    SAVEPOINTS: re.compile(
        rf"((?P<purpose>{ERASURES}|{PERIODIC}|{PROOFS})/)?{_AGENT}/savepoint-[0-9a-f]{{6}}-[0-9a-f]{{12}}/(?P<file>.+)"
    ),
}


@dataclass(frozen=True, order=True)
class StoredObject:
    """An object of a bucket, as a listing has it."""

    bucket: str
    key: str
    size: int
    modified: datetime

    @property
    def path(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Place:
    """What an object is part of."""

    agent: str
    folder: str
    """Path of the checkpoint, the savepoint, or the folder of shared or task-owned files."""
    kind: str
    """``checkpoint``, ``savepoint``, ``shared`` or ``taskowned``."""
    file: str
    job: str = ""
    """Of a checkpoint or of what checkpoints share."""
    number: int = 0
    """Of a checkpoint."""
    purpose: str = ""
    """Why a savepoint was made of a job that went on; empty where the job ended with it."""


def place(stored: StoredObject) -> Place | None:
    """None for what Flink's layout has no such place for."""
    pattern = _PLACES.get(stored.bucket)
    found = pattern.fullmatch(stored.key) if pattern else None
    if found is None:
        return None
    folder = stored.path[: -len(found["file"]) - 1]
    if stored.bucket == SAVEPOINTS:
        return Place(found["agent"], folder, "savepoint", found["file"], purpose=found["purpose"] or "")
    kind = "checkpoint" if found["number"] else found["part"]
    return Place(found["agent"], folder, kind, found["file"], found["job"], int(found["number"] or 0))
