"""`headrace state clean`: what of agents' state nothing needs any more, found and removed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.errors import HeadraceError
from headrace.local.context import HOST
from headrace.local.flink_rest import Unreachable
from headrace.local.objects import Objects, objects
from headrace.local.survey import history, remove, settle_time, survey
from headrace.operations.agents import flink
from headrace.operations.session import session
from headrace.operations.stack import Stack
from headrace.state.history import past_history
from headrace.state.orphans import Orphan, judge


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
    plan, now = stack.plan, datetime.now(UTC)
    settle = settle_time(plan.flink.checkpoints)
    running = _running_jobs(stack) if drop_history else frozenset[str]()
    found = survey(store)
    past: dict[str, str] = {}
    if drop_history:
        past = past_history(found.complete(), history(plan.state_storage.savepoints), running, now, settle)
    names = {each.name for each in stack.plan.agents}
    judged = judge(found.objects, found.retained, past, names, now - settle)
    orphans = (orphan for orphan in judged.orphans if agent in (None, orphan.place.agent))
    return Findings(tuple(orphans), len(judged.live), len(judged.young), len(judged.task_owned), settle)


def _running_jobs(stack: Stack) -> frozenset[str]:
    try:
        return frozenset(job.id for agent in stack.plan.agents for job in flink(stack).jobs(agent.name))
    except Unreachable as error:
        raise HeadraceError(
            f"{error}; which jobs run, and need their checkpoints, can't be told. Nothing was removed; "
            "without --history only what nothing refers to is removed, for which Flink is not asked"
        ) from error
