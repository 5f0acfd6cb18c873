"""What follows the erasure of a key: a savepoint without it; what may still hold it, and for how long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from headrace.environment.duration import Duration
from headrace.environment.units import DAY_MS
from headrace.errors import HeadraceError
from headrace.local.context import HOST
from headrace.local.flink_rest import JobGone, SavepointFailed, Unreachable
from headrace.local.objects import StoreAway
from headrace.local.snapshots import (
    Snapshot,
    checkpoints,
    erasure_folder,
    periodic_savepoints,
    remove_erasures,
    savepoints,
)
from headrace.operations.agents import flink, running_job
from headrace.operations.stack import Stack
from headrace.plan.model import AgentPlan, StackPlan
from headrace.waiting import WaitEnded

SAVEPOINT_TIMEOUT_S = 300


@dataclass(frozen=True)
class Remains:
    """Something that may hold what was erased from state."""

    what: str
    where: str
    until: str
    """How long it lives, or what makes it go."""


@dataclass(frozen=True)
class ProvenErasure:
    savepoint: str
    """Path; it was made after the erasure."""
    remains: tuple[Remains, ...]

    def as_json(self) -> dict[str, Any]:
        return {"savepoint": self.savepoint, "remains": [asdict(each) for each in self.remains]}


def prove(stack: Stack, agent: AgentPlan) -> ProvenErasure:
    """Make a savepoint after an erasure that every shard has reported, and find what may still hold the key.

    Raises HeadraceError when there is no such savepoint; the key is erased from state none the less.
    """
    store = f"http://{HOST}:{stack.plan.ports.object_store}"
    again = (
        "The key is erased from the agent's state, but no savepoint proves it: run the same command again, "
        "which does no harm"
    )
    try:
        job = running_job(stack, agent)
        path = flink(stack).savepoint(job, erasure_folder(agent.name), SAVEPOINT_TIMEOUT_S)
        # An earlier erasure's savepoint holds keys that were erased later.
        remove_erasures(store, agent.name, path)
        saved = savepoints(store, agent.name) | periodic_savepoints(store, agent.name)
        snapshots = saved, checkpoints(store, agent.name)
    except (SavepointFailed, WaitEnded, JobGone, Unreachable, StoreAway) as error:
        raise HeadraceError(f"{error}\n{again}") from error
    return ProvenErasure(path, tuple(remains(stack.plan, agent, *snapshots)))


def remains(
    plan: StackPlan, agent: AgentPlan, saved: Iterable[Snapshot], retained: Iterable[Snapshot]
) -> Iterator[Remains]:
    """All that an erasure does not reach: topics, snapshots from before it, files of RocksDB."""
    spec = agent.spec
    retention = {topic.name: int(topic.config["retention.ms"]) for topic in plan.topics}
    named = [
        *((given.topic, "captured changes") for given in spec.inputs),
        (spec.outputs.decisions, "decisions"),
        (spec.outputs.outcomes, "outcomes"),
        (spec.outputs.dead_letters, "dead letters"),
        (spec.outputs.reviews, "reviews"),
        (spec.outputs.reports, "reports, exports among them"),
        (spec.feedback.answers, "answers to reviews"),
        (spec.feedback.replays, "replayed dead letters"),
        (spec.feedback.control, "commands, this one with its key among them"),
        (spec.journal.topic, "steps of runs"),
        (spec.outputs.runs, "what runs did: the key's hash, and prompts where they are declared to be kept"),
        (spec.spending.budgets, "what was granted of budgets: the key's hash"),
        (spec.spending.costs, "what was spent: the key's hash"),
    ]
    for topic, what in named:
        yield Remains(f"topic: {what}", topic, f"{_time(retention[topic])} after it was written")
    for snapshot in sorted(saved):
        yield Remains(
            "savepoint",
            snapshot.path,
            f"until the history drops it or a hand deletes it; made {_made(snapshot)}, before this",
        )
    for snapshot in sorted(retained):
        yield Remains(
            "retained checkpoint",
            snapshot.path,
            f"until newer ones of the running job replace it; made {_made(snapshot)}",
        )
    yield Remains(
        "RocksDB files of later checkpoints",
        f"s3://checkpoints/{agent.name}",
        "until RocksDB compacts the files that hold removed entries; nothing reads these entries",
    )


def _made(snapshot: Snapshot) -> str:
    return f"{snapshot.modified:%Y-%m-%d %H:%M:%S} UTC"


def _time(ms: int) -> str:
    return f"{ms // DAY_MS} days" if ms % DAY_MS == 0 else str(Duration(ms))
