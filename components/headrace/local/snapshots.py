"""The newest snapshot of an agent, savepoint or retained checkpoint, as the object store has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree

import httpx

from headrace.errors import HeadraceError
from headrace.plan.state_storage import CHECKPOINTS, SAVEPOINTS

TIMEOUT_S = 30
NAMESPACE = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}
METADATA = "_metadata"
ERASURES = "_erasures"


@dataclass(frozen=True, order=True)
class Snapshot:
    """Ordered by time; in the same second a savepoint is later, since it is what ended the job."""

    modified: str
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


def newest_snapshot(endpoint: str, agent: str) -> Snapshot | None:
    """The snapshot that continues the agent's life; None for one that has none."""
    return max(checkpoints(endpoint, agent) | savepoints(endpoint, agent), default=None)


def checkpoints(endpoint: str, agent: str) -> set[Snapshot]:
    """Every retained checkpoint of the agent."""
    return _snapshots(endpoint, CHECKPOINTS, agent)


def savepoints(endpoint: str, agent: str) -> set[Snapshot]:
    """Every complete savepoint of the agent."""
    return _snapshots(endpoint, SAVEPOINTS, agent)


def remove_erasures(endpoint: str, agent: str, but: str) -> None:
    """Remove all of the agent's savepoints that prove an erasure, except for `but`, a path."""
    kept = f"{but.removeprefix(f's3://{SAVEPOINTS}/')}/"
    for key, _ in _objects(endpoint, SAVEPOINTS, f"{ERASURES}/{agent}/"):
        if not key.startswith(kept):
            _delete(endpoint, f"{SAVEPOINTS}/{key}")


def discard(endpoint: str, snapshot: Snapshot) -> None:
    """Make a snapshot incomplete, so that nothing goes on from it."""
    _delete(endpoint, f"{snapshot.path.removeprefix('s3://')}/{METADATA}")


def _delete(endpoint: str, key: str) -> None:
    answer = httpx.delete(f"{endpoint}/{key}", timeout=TIMEOUT_S, trust_env=False)
    if not answer.is_success:
        raise HeadraceError(f"the object store can't delete {key}: {answer.status_code} {answer.text}")


def _snapshots(endpoint: str, bucket: str, agent: str) -> set[Snapshot]:
    # Flink writes the metadata last: what has it is complete.
    return {
        _snapshot(bucket, key, modified)
        for key, modified in _objects(endpoint, bucket, f"{agent}/")
        if key.endswith(f"/{METADATA}")
    }


def _snapshot(bucket: str, key: str, modified: str) -> Snapshot:
    folder = key.removesuffix(f"/{METADATA}")
    number = re.search(r"/chk-(\d+)$", folder)
    return Snapshot(
        modified, bucket == SAVEPOINTS, int(number[1]) if number else 0, f"s3://{bucket}/{folder}"
    )


def _objects(endpoint: str, bucket: str, prefix: str) -> list[tuple[str, str]]:
    """Key and time of every object below the prefix (ListObjectsV2, all pages)."""
    objects: list[tuple[str, str]] = []
    token: str | None = None
    while True:
        query = {"list-type": "2", "prefix": prefix} | ({"continuation-token": token} if token else {})
        answer = httpx.get(f"{endpoint}/{bucket}", params=query, timeout=TIMEOUT_S, trust_env=False)
        if not answer.is_success:
            raise HeadraceError(
                f"the object store can't list {bucket}/{prefix}: {answer.status_code} {answer.text}"
            )
        page = ElementTree.fromstring(answer.content)  # noqa: S314 (it comes from the stack's own process)
        for entry in page.findall("s3:Contents", NAMESPACE):
            key, modified = (
                entry.findtext("s3:Key", "", NAMESPACE),
                entry.findtext("s3:LastModified", "", NAMESPACE),
            )
            objects.append((key, modified))
        token = page.findtext("s3:NextContinuationToken", None, NAMESPACE)
        if not token:
            return objects
