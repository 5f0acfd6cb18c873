"""The newest snapshot of an agent, savepoint or retained checkpoint, as the object store has it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from headrace.local.objects import objects
from headrace.plan.state_storage import CHECKPOINTS, SAVEPOINTS
from headrace.state.layout import ERASURES, METADATA, PERIODIC, PROOFS, place


@dataclass(frozen=True, order=True)
class Snapshot:
    """Ordered by time; in the same second a savepoint is later, since it is what ended the job."""

    modified: datetime
    is_savepoint: bool
    number: int
    path: str


def checkpoint_folder(agent: str) -> str:
    return f"s3://{CHECKPOINTS}/{agent}"


def savepoint_folder(agent: str) -> str:
    return f"s3://{SAVEPOINTS}/{agent}"


def erasure_folder(agent: str) -> str:
    """Of savepoints that prove an erasure. No agent's name begins so: no agent goes on from one of them.

    The job went on after such a savepoint and committed transactions that it knows nothing of; to go on from
    it would be to decide those events again.
    """
    return f"s3://{SAVEPOINTS}/{ERASURES}/{agent}"


def periodic_folder(agent: str) -> str:
    """Of savepoints that are made now and then of a job that goes on: apart for the same reason."""
    return f"s3://{SAVEPOINTS}/{PERIODIC}/{agent}"


def proof_folder(agent: str) -> str:
    """Of savepoints that a new version is proved on: apart for the same reason."""
    return f"s3://{SAVEPOINTS}/{PROOFS}/{agent}"


def remove_proofs(endpoint: str, agent: str) -> None:
    """Remove all savepoints that a version of the agent was proved on."""
    with objects(endpoint) as store:
        for stored in store.listed(SAVEPOINTS, f"{PROOFS}/{agent}/"):
            store.delete(stored.path)


def newest_snapshot(endpoint: str, agent: str) -> Snapshot | None:
    """The snapshot that continues the agent's life; None for one that has none."""
    return max(checkpoints(endpoint, agent) | savepoints(endpoint, agent), default=None)


def checkpoints(endpoint: str, agent: str) -> set[Snapshot]:
    """Every retained checkpoint of the agent."""
    return _snapshots(endpoint, CHECKPOINTS, f"{agent}/")


def savepoints(endpoint: str, agent: str) -> set[Snapshot]:
    """Every complete savepoint that the agent's job ended with."""
    return _snapshots(endpoint, SAVEPOINTS, f"{agent}/")


def periodic_savepoints(endpoint: str, agent: str) -> set[Snapshot]:
    """Every complete one of the agent's periodic savepoints."""
    return _snapshots(endpoint, SAVEPOINTS, f"{PERIODIC}/{agent}/")


def remove_erasures(endpoint: str, agent: str, but: str) -> None:
    """Remove all of the agent's savepoints that prove an erasure, except for `but`, a path."""
    with objects(endpoint) as store:
        for stored in store.listed(SAVEPOINTS, f"{ERASURES}/{agent}/"):
            if not stored.path.startswith(f"{but}/"):
                store.delete(stored.path)


def discard(endpoint: str, snapshot: Snapshot) -> None:
    """Make a snapshot incomplete, so that nothing goes on from it."""
    with objects(endpoint) as store:
        store.delete(f"{snapshot.path}/{METADATA}")


def _snapshots(endpoint: str, bucket: str, prefix: str) -> set[Snapshot]:
    # Flink writes the metadata last: what has it is complete.
    with objects(endpoint) as store:
        complete = [
            (stored, place(stored))
            for stored in store.listed(bucket, prefix)
            if stored.key.endswith(f"/{METADATA}")
        ]
    return {
        Snapshot(stored.modified, bucket == SAVEPOINTS, where.number, where.folder)
        for stored, where in complete
        if where is not None
    }
