"""Which objects no retained snapshot refers to; and when that can't be said, so that nothing may be removed.

A snapshot is retained while its `_metadata` is there: Flink writes it last and removes it first. What no
`_metadata` refers to is an orphan: files of a checkpoint that failed or was aborted, of one whose removal was
interrupted, shared files of RocksDB that a lost JobManager did not unregister.

Files of a checkpoint or savepoint that is being written are referred to by nothing either, until it is
complete. They are younger than the checkpoints' timeout, after which Flink gives such a one up: what is
younger than `settled_before` is never judged. RocksDB builds on shared files of completed checkpoints
only, so an older file that nothing refers to is never referred to again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from headrace.errors import HeadraceError
from headrace.state.layout import METADATA, TASK_OWNED, Place, StoredObject, place
from headrace.state.snapshot import Metadata

SHOWN = 5


class NotJudged(HeadraceError):
    """Something in the buckets is not understood; what else is there may belong to it."""


@dataclass(frozen=True)
class Orphan:
    stored: StoredObject
    place: Place
    why: str


@dataclass(frozen=True)
class Judgement:
    """Every object is in one of these."""

    live: tuple[StoredObject, ...]
    """Metadata of retained snapshots, and what they refer to."""
    orphans: tuple[Orphan, ...]
    young: tuple[StoredObject, ...]
    """Referred to by nothing, and too young to be judged: a snapshot that is being written may need them."""
    task_owned: tuple[StoredObject, ...]
    """Flink's tasks remove them themselves, and what refers to them stands inside of operators' state."""


def judge(
    objects: Sequence[StoredObject],
    retained: Mapping[str, Metadata],
    past: Mapping[str, str],
    agents: Collection[str],
    settled_before: datetime,
) -> Judgement:
    """Divide objects into those that are needed and orphans.

    Args:
        objects: all of both buckets.
        retained: the metadata of each complete snapshot in them, by the path of its folder.
        past: those of them that are not to be retained any longer, and why.
        agents: those that the stack declares.
        settled_before: what was modified at this time or later is not judged.

    Raises:
        NotJudged: an object has no place in Flink's layout, or belongs to none of the agents; a snapshot
            refers to what is not there.
    """
    placed = _placed(objects)
    _refuse_unowned(placed, agents)
    needed = _needed(objects, {path: metadata for path, metadata in retained.items() if path not in past})
    live, orphans, young, task_owned = [], [], [], []
    for stored, where in placed:
        if stored.path in needed:
            live.append(stored)
        elif where.kind == TASK_OWNED:
            task_owned.append(stored)
        elif stored.modified >= settled_before:
            young.append(stored)
        else:
            why = past.get(where.folder) or _why(where, retained)
            orphans.append(Orphan(stored, where, why))
    return Judgement(tuple(live), tuple(orphans), tuple(young), tuple(task_owned))


def _placed(objects: Iterable[StoredObject]) -> list[tuple[StoredObject, Place]]:
    found = [(stored, place(stored)) for stored in objects]
    unknown = [stored.path for stored, where in found if where is None]
    if unknown:
        raise NotJudged(
            "these are in none of the places where agents' snapshots are:\n"
            f"{_some(unknown)}\n"
            "What is theirs is not known, so nothing is removed. Move what does not belong here elsewhere"
        )
    return [(stored, where) for stored, where in found if where is not None]


def _refuse_unowned(placed: Iterable[tuple[StoredObject, Place]], agents: Collection[str]) -> None:
    unowned = Counter(
        f"{where.agent}, job {where.job}" if where.job else f"{where.agent}, savepoints"
        for _, where in placed
        if where.agent not in agents
    )
    if unowned:
        raise NotJudged(
            "state of jobs that no declared agent owns is here:\n"
            f"{_some([f'{name}: {count} objects' for name, count in sorted(unowned.items())])}\n"
            f"The declared agents are {', '.join(sorted(agents))}. Declare the agent again, or move its "
            "folders out of the buckets once its state is not wanted any more. Nothing was removed"
        )


def _needed(objects: Iterable[StoredObject], retained: Mapping[str, Metadata]) -> set[str]:
    there = {stored.path for stored in objects}
    needed: set[str] = set()
    for folder, metadata in retained.items():
        files = {f"{folder}/{METADATA}", *metadata.files()}
        if missing := sorted(files - there):
            raise NotJudged(
                f"{folder} refers to what is not in the buckets:\n{_some(missing)}\n"
                "It can't be restored as it is, or lies where headrace does not look. "
                f"Remove {folder}/{METADATA} if it is of no use any more. Nothing was removed"
            )
        needed |= files
    return needed


def _why(where: Place, retained: Mapping[str, Metadata]) -> str:
    name = where.folder.rpartition("/")[2]
    if where.folder in retained:
        return f"{name} does not refer to it"
    if where.kind in ("checkpoint", "savepoint"):
        return f"{name} is incomplete: it has no {METADATA}"
    return "no retained checkpoint or savepoint refers to it"


def _some(lines: Sequence[str]) -> str:
    more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join([*(f"  {line}" for line in lines[:SHOWN]), *more])
