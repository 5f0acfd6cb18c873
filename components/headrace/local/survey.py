"""What the object store holds of agents' state at one time, and how orphans are removed from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from headrace.errors import HeadraceError
from headrace.local.objects import Objects
from headrace.plan.model import CheckpointPlan, SavepointPlan
from headrace.state.data_input import Unreadable
from headrace.state.history import Complete, History
from headrace.state.layout import BUCKETS, METADATA, StoredObject, place
from headrace.state.metadata import read_metadata
from headrace.state.orphans import Orphan
from headrace.state.snapshot import Metadata

ATTEMPTS = 5
TIMEOUTS_TO_SETTLE = 2
"""A checkpoint that timed out is given up; what a TaskManager still uploads of it has as long again."""
SHORTEST_SETTLE = timedelta(minutes=10)


class KeepsChanging(HeadraceError):
    """Snapshots come and go faster than they are read."""


@dataclass(frozen=True)
class Survey:
    objects: tuple[StoredObject, ...]
    retained: dict[str, Metadata]
    """By the path of the snapshot's folder."""

    def complete(self) -> list[Complete]:
        placed = ((place(stored), stored.modified) for stored in self.objects)
        return [
            Complete(where, modified)
            for where, modified in placed
            if where is not None and where.folder in self.retained and where.file == METADATA
        ]


def settle_time(plan: CheckpointPlan) -> timedelta:
    """How long what nothing refers to may still belong to a checkpoint that is being written."""
    return max(SHORTEST_SETTLE, TIMEOUTS_TO_SETTLE * timedelta(milliseconds=plan.timeout_ms))


def history(plan: SavepointPlan) -> History:
    return History(plan.history_count, timedelta(milliseconds=plan.history_age_ms))


def survey(store: Objects) -> Survey:
    """List everything, then read every snapshot's metadata.

    In this order a snapshot that becomes complete meanwhile is missing with its files still young, and one
    that Flink removes meanwhile is noticed: its metadata goes first. Then all is looked at again.

    Raises:
        Unreadable: metadata that is not understood; what it refers to can't be told.
        KeepsChanging: a snapshot was removed each time.
    """
    for _ in range(ATTEMPTS):
        objects = tuple(stored for bucket in BUCKETS for stored in store.listed(bucket))
        retained = _retained(store, objects)
        if retained is not None:
            return Survey(objects, retained)
    raise KeepsChanging(
        f"checkpoints were removed while they were read, {ATTEMPTS} times; run the command again. "
        "Nothing was changed"
    )


def _retained(store: Objects, objects: Iterable[StoredObject]) -> dict[str, Metadata] | None:
    retained: dict[str, Metadata] = {}
    for stored in objects:
        if stored.key.rpartition("/")[2] != METADATA:
            continue
        data = store.read(stored.path)
        if data is None:
            return None
        folder = stored.path.rpartition("/")[0]
        try:
            retained[folder] = read_metadata(data, folder)
        except Unreadable as error:
            raise Unreadable(
                f"{stored.path} can't be read: {error}. What it refers to is not known, so nothing is "
                "removed; if it is of no use any more, remove it by hand"
            ) from error
    return retained


def remove(
    store: Objects, orphans: Iterable[Orphan], each: Callable[[Orphan], None] = lambda _: None
) -> None:
    """Remove orphans, metadata first: a snapshot that is half removed must not look complete.

    Each removal is fine where the object is gone, so after a kill the same can be done again.
    """
    for orphan in sorted(orphans, key=lambda given: given.place.file != METADATA):
        store.delete(orphan.stored.path)
        each(orphan)
