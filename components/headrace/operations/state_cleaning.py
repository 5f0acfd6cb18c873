"""`headrace state clean`: what of agents' state nothing needs any more, found and removed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.errors import HeadraceError
from headrace.local.context import HOST
from headrace.local.flink_rest import Unreachable
from headrace.local.objects import Objects, objects
from headrace.local.survey import Survey, remove, survey
from headrace.operations.agents import flink
from headrace.operations.session import session
from headrace.operations.stack import Stack
from headrace.plan.model import StackPlan
from headrace.state.history import History, past_history
from headrace.state.orphans import Orphan, judge

TIMEOUTS_TO_SETTLE = 2
"""A checkpoint that timed out is given up; what a TaskManager still uploads of it has as long again."""
SHORTEST_SETTLE = timedelta(minutes=10)


@dataclass(frozen=True)
class Findings:
    orphans: tuple[Orphan, ...]
    """Those that were asked for."""
    live: int
    young: int
    task_owned: int
    """Objects that are left alone, by the reason; see :class:`headrace.state.orphans.Judgement`."""
    settle: timedelta
    """How old an object has to be to be judged."""

    @property
    def bytes(self) -> int:
        return sum(orphan.stored.size for orphan in self.orphans)

    def as_json(self) -> dict[str, Any]:
        return {
            "orphans": [
                {
                    "path": orphan.stored.path,
                    "agent": orphan.place.agent,
                    "bytes": orphan.stored.size,
                    "modified": orphan.stored.modified.isoformat(),
                    "why": orphan.why,
                }
                for orphan in self.orphans
            ],
            "bytes": self.bytes,
            "left": {"live": self.live, "young": self.young, "task_owned": self.task_owned},
            "settle_s": self.settle.total_seconds(),
        }


def settle_time(plan: StackPlan) -> timedelta:
    """How long what nothing refers to may still belong to a checkpoint that is being written."""
    timeout = timedelta(milliseconds=plan.flink.checkpoints.timeout_ms)
    return max(SHORTEST_SETTLE, TIMEOUTS_TO_SETTLE * timeout)


def history(plan: StackPlan) -> History:
    return History(plan.savepoints.history_count, timedelta(milliseconds=plan.savepoints.history_age_ms))


def open_store(stack: Stack) -> AbstractContextManager[Objects]:
    return objects(f"http://{HOST}:{stack.plan.ports.object_store}")


def find(stack: Stack, agent: str | None, *, drop_history: bool) -> Findings:
    """Look, and change nothing. With `drop_history`, snapshots that are past their history count as orphans.

    Raises:
        HeadraceError: something in the buckets is not understood, or is not this stack's.
    """
    with open_store(stack) as store:
        return _find(stack, store, agent, drop_history=drop_history)


def clean(
    stack: Stack, agent: str | None, *, drop_history: bool, removed: Callable[[Orphan], None]
) -> Findings:
    """Look anew and remove what is found. Killed in its middle, it can be run again."""
    with session(stack.files), open_store(stack) as store:
        findings = _find(stack, store, agent, drop_history=drop_history)
        remove(store, findings.orphans, removed)
        return findings


def _find(stack: Stack, store: Objects, agent: str | None, *, drop_history: bool) -> Findings:
    now, settle = datetime.now(UTC), settle_time(stack.plan)
    running = _running_jobs(stack) if drop_history else frozenset[str]()
    found = survey(store)
    past = _past(found, history(stack.plan), running, now, settle) if drop_history else {}
    names = {each.name for each in stack.plan.agents}
    judged = judge(found.objects, found.retained, past, names, now - settle)
    orphans = (orphan for orphan in judged.orphans if agent in (None, orphan.place.agent))
    return Findings(tuple(orphans), len(judged.live), len(judged.young), len(judged.task_owned), settle)


def _past(
    found: Survey, kept: History, running: Collection[str], now: datetime, settle: timedelta
) -> dict[str, str]:
    # One that is complete for less than that has files that are not judged yet: it goes as a whole, later.
    modified = {each.path: each.modified for each in found.complete()}
    past = past_history(found.complete(), kept, running, now)
    return {path: why for path, why in past.items() if modified[path] < now - settle}


def _running_jobs(stack: Stack) -> frozenset[str]:
    try:
        return frozenset(job.id for agent in stack.plan.agents for job in flink(stack).jobs(agent.name))
    except Unreachable as error:
        raise HeadraceError(
            f"{error}; which jobs run, and need their checkpoints, can't be told. Nothing was removed; "
            "without --history only what nothing refers to is removed, for which Flink is not asked"
        ) from error
