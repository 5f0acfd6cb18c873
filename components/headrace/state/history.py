"""Which complete snapshots are kept, by count and age, and which are past their history.

The terms are those of the Flink Kubernetes Operator (``savepoint.history.max.count`` and ``max.age``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from headrace.state.layout import ERASURES, Place


@dataclass(frozen=True)
class Complete:
    """A snapshot whose `_metadata` is there."""

    place: Place
    modified: datetime
    """When it became complete."""

    @property
    def path(self) -> str:
        return self.place.folder


@dataclass(frozen=True)
class History:
    count: int
    age: timedelta


def past_history(
    snapshots: Collection[Complete],
    history: History,
    running: Collection[str],
    now: datetime,
    settle: timedelta,
) -> dict[str, str]:
    """Those that need not be kept: path -> why.

    Of an agent's savepoints, the ones it stopped with and periodic ones apart, the newest stays whatever
    its age. Checkpoints of jobs that ended are past their history once a later job of the agent has one;
    which ones a job that runs (`running`: ids) keeps is Flink's to say. Savepoints that prove an erasure are
    no history. One that became complete within `settle` may have files that can't be judged yet
    (:mod:`headrace.state.orphans`): it is dropped as a whole, later.
    """
    past: dict[str, str] = {}
    for _, group in groupby(sorted(snapshots, key=_group), _group):
        newest_first = sorted(group, key=lambda each: (each.modified, each.place.number), reverse=True)
        kind, purpose = newest_first[0].place.kind, newest_first[0].place.purpose
        if kind == "checkpoint":
            past |= dict(_of_ended_jobs(newest_first, running))
        elif purpose != ERASURES:
            past |= dict(_of_savepoints(newest_first, history, now))
    settled = {each.path for each in snapshots if each.modified < now - settle}
    return {path: why for path, why in past.items() if path in settled}


def _group(snapshot: Complete) -> tuple[str, str, str]:
    return snapshot.place.agent, snapshot.place.kind, snapshot.place.purpose


def _of_ended_jobs(newest_first: list[Complete], running: Collection[str]) -> Iterator[tuple[str, str]]:
    newest = newest_first[0].place.job
    for each in newest_first:
        if each.place.job != newest and each.place.job not in running:
            yield each.path, f"its job has ended, and a later job of {each.place.agent} has checkpoints"


def _of_savepoints(
    newest_first: list[Complete], history: History, now: datetime
) -> Iterator[tuple[str, str]]:
    for at, each in enumerate(newest_first[1:], 1):
        if at >= history.count:
            yield each.path, f"{at} newer savepoints are kept, as many as the history has"
        elif now - each.modified > history.age:
            yield each.path, f"it is older than the history, {history.age}"
