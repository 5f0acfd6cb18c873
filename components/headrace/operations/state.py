"""`headrace state list` and `describe`: what snapshots there are, and what one of them holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from headrace.errors import HeadraceError
from headrace.local import rocksdb
from headrace.local.objects import Objects
from headrace.local.survey import Survey, history, survey
from headrace.operations.stack import Stack
from headrace.operations.state_cleaning import open_store
from headrace.state.agent_state import AgentState
from headrace.state.data_input import DataInput, Unreadable
from headrace.state.history import Complete, past_history
from headrace.state.keyed import Entry, KeyedStateInfo, entries, read_description
from headrace.state.layout import ERASURES, PERIODIC, PROOFS
from headrace.state.snapshot import Inline, KeyedState, Metadata, Operator, Stream
from headrace.toolchain.runtimes import Runtimes

KINDS = {
    PERIODIC: "periodic savepoint",
    ERASURES: "savepoint of an erasure",
    PROOFS: "savepoint of a proof",
    "": "savepoint",
}


@dataclass(frozen=True)
class Listed:
    """A complete snapshot."""

    complete: Complete
    checkpoint: int
    bytes: int
    age_s: float
    newest: bool
    """Whether `up` would go on from it."""
    past: str
    """Why it is past the history; empty while it is kept."""

    @property
    def kind(self) -> str:
        place = self.complete.place
        return "checkpoint" if place.kind == "checkpoint" else KINDS[place.purpose]

    def as_json(self) -> dict[str, Any]:
        place = self.complete.place
        return {
            "agent": place.agent,
            "kind": self.kind,
            "path": self.complete.path,
            "job": place.job or None,
            "checkpoint": self.checkpoint,
            "completed": self.complete.modified.isoformat(),
            "age_s": round(self.age_s, 1),
            "bytes": self.bytes,
            "goes_on_from": self.newest,
            "past_history": self.past or None,
        }


@dataclass(frozen=True)
class OperatorState:
    """One state of an operator, of all its subtasks; or what is known when its name is not."""

    state: str
    kind: str
    serializer: str


@dataclass
class DescribedOperator:
    operator: Operator
    key_groups: int
    states: list[OperatorState]
    unknown: str = ""
    """Why some states have no names here."""

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.operator.name,
            "uid": self.operator.uid or None,
            "id": self.operator.id,
            "parallelism": self.operator.parallelism,
            "max_parallelism": self.operator.max_parallelism,
            "key_groups": self.key_groups,
            "bytes": self.operator.size,
            "states": [vars(state) for state in self.states],
            "unknown": self.unknown or None,
        }


@dataclass
class Described:
    listed: Listed
    operators: list[DescribedOperator]
    agent: AgentState = field(default_factory=AgentState)
    unread: str = ""
    """Why the entries were not read; empty when they were."""

    def as_json(self) -> dict[str, Any]:
        read = {
            "entries": dict(self.agent.entries),
            "memory_versions": {str(version): count for version, count in self.agent.memory_versions.items()},
            "unreadable": self.agent.unreadable,
        }
        return {
            **self.listed.as_json(),
            "operators": [each.as_json() for each in self.operators],
            "agent_state": None if self.unread else read,
            "not_read": self.unread or None,
        }


def list_snapshots(stack: Stack, agent: str | None) -> list[Listed]:
    """All complete snapshots, newest first for each agent."""
    with open_store(stack) as store:
        return [each for each in _listed(stack, survey(store)) if agent in (None, each.complete.place.agent)]


def describe(stack: Stack, agent: str, path: str | None, *, keys: bool) -> Described:
    """What the snapshot at `path` holds, or the one that the agent would go on from.

    With `keys` its entries are read too, for which all of its keyed state is fetched.

    Raises:
        HeadraceError: there is no such snapshot.
    """
    with open_store(stack) as store:
        found = survey(store)
        of_agent = [each for each in _listed(stack, found) if each.complete.place.agent == agent]
        chosen = [each for each in of_agent if (each.newest if path is None else each.complete.path == path)]
        if not chosen:
            known = "\n".join(f"  {each.complete.path}" for each in of_agent) or "  none"
            raise HeadraceError(
                f"agent {agent} has no snapshot {path or ''}; its complete ones are:\n{known}"
            )
        metadata = found.retained[chosen[0].complete.path]
        described = Described(chosen[0], [_operator(store, operator) for operator in metadata.operators])
        if keys:
            _add_entries(described, store, metadata)
        else:
            described.unread = "they were not asked for"
        return described


def _listed(stack: Stack, found: Survey) -> Iterator[Listed]:
    now = datetime.now(UTC)
    # As :class:`headrace.local.snapshots.Snapshot` is ordered.
    oldest_first = sorted(
        found.complete(), key=lambda each: (each.modified, each.place.kind, each.place.number)
    )
    past = past_history(oldest_first, history(stack.plan.state_storage.savepoints), (), now, timedelta())
    # Of an agent's snapshots it goes on from the newest, but from none that its job went on after.
    newest = {each.place.agent: each.path for each in oldest_first if not each.place.purpose}
    newest_first = reversed(oldest_first)
    for each in sorted(newest_first, key=lambda each: each.place.agent):
        metadata = found.retained[each.path]
        yield Listed(
            each,
            metadata.checkpoint,
            metadata.size,
            (now - each.modified).total_seconds(),
            newest.get(each.place.agent) == each.path,
            past.get(each.path, ""),
        )


def _add_entries(described: Described, store: Objects, metadata: Metadata) -> None:
    for operator in metadata.operators:
        for subtask in operator.subtasks:
            for keyed in subtask.keyed:
                try:
                    described.agent.add(_entries(store, keyed), operator.max_parallelism)
                except Unreadable as error:
                    described.unread = str(error)


def _entries(store: Objects, keyed: KeyedState) -> Iterator[Entry]:
    if not keyed.rocksdb:
        yield from entries(_content(store, keyed.description), keyed.offsets)
        return
    with TemporaryDirectory(prefix="headrace-state-") as folder:
        # A running job drops its checkpoints soon; what only this one has comes last, and is fetched first.
        for name, stream in reversed(keyed.rocksdb):
            (Path(folder) / name).write_bytes(_content(store, stream))
        yield from rocksdb.entries(Path(folder), Runtimes.locate().flink)


def _operator(store: Objects, operator: Operator) -> DescribedOperator:
    described = DescribedOperator(
        operator,
        sum(keyed.key_groups for subtask in operator.subtasks for keyed in subtask.keyed),
        [],
    )
    found: dict[str, OperatorState] = {}
    for subtask in operator.subtasks:
        for lists in subtask.operator:
            found |= {
                state.name: OperatorState(state.name, f"operator, {state.distribution}", "")
                for state in lists.states
            }
        for keyed in subtask.keyed:
            try:
                states = read_description(DataInput(_content(store, keyed.description))).states
            except Unreadable as error:
                described.unknown = str(error)
            else:
                found |= {state.name: _keyed(state) for state in states}
    described.states = list(found.values())
    return described


def _keyed(state: KeyedStateInfo) -> OperatorState:
    return OperatorState(state.name, state.kind, state.serializer)


def _content(store: Objects, stream: Stream) -> bytes:
    if isinstance(stream, Inline):
        return stream.data
    data = store.read(stream.path)
    if data is None:
        raise HeadraceError(
            f"{stream.path} is gone; the snapshot was removed meanwhile: describe another one"
        )
    return data
