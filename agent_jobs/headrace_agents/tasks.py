"""Commands that a shard is working off, a few keys at a look, so that no bundle is long.

A task's place is kept in state: after a failure it goes on from there. What it reports goes the way of
decisions, so it is reported once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from headrace_agents import codec
from headrace_agents.control import Command, ExportedMemory, Problem, Report
from headrace_agents.events import EventReader
from headrace_agents.memory import MemoryFormat, UnreadableMemoryError
from headrace_agents.records import OutputRecord
from headrace_agents.shard import Shard, ShardState
from headrace_agents.spec import AgentJobSpec

KEYS_AT_A_LOOK = 100
BYTES_AT_A_LOOK = 1 << 18
"""And one value more: what an export reports of a look is one Kafka record."""
_REPORTED_PROBLEMS = 20

_SCANNED: Mapping[str, bytes] = {
    "check": codec.INBOX + codec.JOURNAL + codec.MEMORY + codec.REMINDERS,
    "migrate": codec.MEMORY,
    "export": codec.MEMORY,
    "erase": codec.REMINDERS,
    "sweep": codec.MEMORY,
}
"""First bytes of the keys that a task goes through; tasks that are not here go through none."""
_UNREADABLE = (UnreadableMemoryError, ValueError, struct.error)
"""What is wrong with an entry of the state; ``struct.error`` where it has been cut short."""


@dataclass(slots=True)
class Task:
    """``command`` is None for the shard's own search for expired memories, which nobody waits for."""

    command: Command | None
    after: bytes | None = None
    """The last key that was worked on, in their order."""
    counts: dict[str, int] = field(default_factory=dict)
    keys: list[bytes] | None = None
    """What is left, the last one first; made anew after a failure."""
    until_ms: int = 0
    """Of ``wind_down``: when it is over, whether somebody has stopped the job or not."""
    is_reported: bool = False
    """Of ``wind_down``, which lasts longer than what it waits for."""

    @property
    def kind(self) -> str:
        return "sweep" if self.command is None else self.command.kind

    def count(self, what: str, many: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + many


class _Saved(BaseModel):
    command: Command
    after: str | None
    counts: dict[str, int]


def _held(shard: Shard) -> list[Problem]:
    why = "its events wait, since one of them does not fit the agent: they are not drained"
    return [Problem(what="table", key=topic, reason=why) for topic in sorted(shard.held_topics)]


def save_tasks(tasks: Iterable[Task], state: ShardState) -> None:
    """All but the shard's own, and what is to end with the job."""
    saved = [
        _Saved(
            command=task.command, after=None if task.after is None else task.after.hex(), counts=task.counts
        )
        for task in tasks
        if task.command is not None and task.command.kind != "wind_down"
    ]
    if saved:
        state.put(codec.TASKS_KEY, codec.encode_tasks(to_json(saved)))
    else:
        state.remove(codec.TASKS_KEY)


def restore_tasks(state: ShardState) -> list[Task]:
    data = state.get(codec.TASKS_KEY)
    return [] if data is None else decode_tasks(data)


def decode_tasks(data: bytes) -> list[Task]:
    saved = [_Saved.model_validate(each) for each in from_json(codec.decode_tasks(data))]
    return [
        Task(each.command, None if each.after is None else bytes.fromhex(each.after), each.counts)
        for each in saved
    ]


class Forgets(Protocol):
    """Ends what is under way for a key."""

    def forget(self, shard: Shard, key: bytes, state: ShardState) -> Generator[OutputRecord, None, int]: ...


class Workbench:
    """Works tasks off."""

    def __init__(
        self,
        spec: AgentJobSpec,
        reader: EventReader,
        memory: MemoryFormat,
        forgets: Forgets,
        clock: Callable[[], int],
    ) -> None:
        self._reports = spec.outputs.reports
        self._reader = reader
        self._memory = memory
        self._forgets = forgets
        self._clock = clock

    def work(self, shard: Shard, state: ShardState) -> Iterator[OutputRecord]:
        """One look's share of every task of the shard."""
        before = [task for task in shard.tasks if task.command is not None]
        for task in list(shard.tasks):
            done = yield from self._share(shard, task, state)
            if done:
                shard.tasks.remove(task)
                if task.command is not None and not task.is_reported:
                    yield self.report(shard, task, problems=_held(shard) if task.kind == "drain" else ())
        if before:
            save_tasks(shard.tasks, state)

    def report(
        self,
        shard: Shard,
        task: Task,
        *,
        done: bool = True,
        memories: Iterable[ExportedMemory] = (),
        problems: Iterable[Problem] = (),
    ) -> OutputRecord:
        command = task.command
        if command is None:
            raise AssertionError("nobody waits for a report of the shard's own task")
        report = Report(
            command=command.id,
            kind=command.kind,
            shard=shard.index,
            done=done,
            counts=task.counts if done else {},
            memories=tuple(memories),
            problems=tuple(problems),
        )
        return OutputRecord(self._reports, None, report.encode(), {})

    def _share(self, shard: Shard, task: Task, state: ShardState) -> Generator[OutputRecord, None, bool]:
        """Returns whether the task is done."""
        match task.kind:
            case "pause" | "drain":
                return self._is_quiet(shard)
            case "wind_down":
                if not shard.runs and not task.is_reported:
                    task.is_reported = True
                    yield self.report(shard, task)
                return self._clock() >= task.until_ms
            case "get":
                yield from self._get(shard, task, state)
                return True
            case "erase" if task.keys is None and task.after is None:
                yield from self._erase(shard, task, state)
        return (yield from self._scan(shard, task, state))

    def _is_quiet(self, shard: Shard) -> bool:
        """Events of a held table come to no end: a drain is done without them, and says so."""
        held_from = shard.held_from
        return not shard.runs and (
            held_from is None
            or bool(shard.held_topics)
            or all(sequence >= held_from for sequence in shard.unsettled)
        )

    def _get(self, shard: Shard, task: Task, state: ShardState) -> Iterator[OutputRecord]:
        key = _wanted_key(task)
        data = state.get(codec.memory_key(key))
        if data is None:
            return
        memories: list[ExportedMemory] = []
        problems: list[Problem] = []
        try:
            exported = self._exported(key, data)
        except _UNREADABLE as error:
            problems.append(_problem(codec.memory_key(key), error))
        else:
            if exported is None:
                return
            memories.append(exported)
        task.count("memories")
        yield self.report(shard, task, done=False, memories=memories, problems=problems)

    def _erase(self, shard: Shard, task: Task, state: ShardState) -> Iterator[OutputRecord]:
        key = _wanted_key(task)
        events = yield from self._forgets.forget(shard, key, state)
        if state.get(codec.memory_key(key)) is not None:
            state.remove(codec.memory_key(key))
            task.count("memories")
        if events:
            task.count("events", events)

    def _scan(self, shard: Shard, task: Task, state: ShardState) -> Generator[OutputRecord, None, bool]:
        if task.keys is None:
            prefixes, after = _SCANNED[task.kind], task.after or b""
            task.keys = sorted((k for k in state.list_keys() if k[0] in prefixes and k > after), reverse=True)
        memories: list[ExportedMemory] = []
        problems: list[Problem] = []
        left = BYTES_AT_A_LOOK
        for _ in range(min(KEYS_AT_A_LOOK, len(task.keys))):
            if left <= 0:
                break
            task.after = key = task.keys.pop()
            data = state.get(key)
            if data is None:
                continue  # it has gone since the keys were listed
            left -= len(data)
            try:
                exported = self._visit(task, key, data, state)
            except _UNREADABLE as error:
                task.count("unreadable")
                problems.append(_problem(key, error))
            else:
                if exported is not None:
                    memories.append(exported)
        if task.command is not None and (memories or problems):
            yield self.report(
                shard, task, done=False, memories=memories, problems=problems[:_REPORTED_PROBLEMS]
            )
        return not task.keys

    def _visit(self, task: Task, key: bytes, data: bytes, state: ShardState) -> ExportedMemory | None:
        now_ms = self._clock()
        match task.kind:
            case "check":
                self._check(key, data)
                task.count(codec.KIND_NAMES[key[:1]])
            case "migrate":
                migrated = self._memory.migrate(data, now_ms)
                task.count("current" if migrated is None else "migrated")
                if migrated is not None:
                    state.put(key, migrated)
            case "export":
                exported = self._exported(key[1:], data)
                task.count("memories", exported is not None)
                return exported
            case "erase":
                self._erase_reminders(task, key, data, state)
            case "sweep":
                if self._memory.is_expired(codec.decode_memory(data), now_ms):
                    state.remove(key)
        return None

    def _check(self, key: bytes, data: bytes) -> None:
        match key[:1]:
            case codec.INBOX:
                self._reader.read(codec.decode_entry(data).record)
            case codec.JOURNAL:
                codec.decode_journal(data)
            case codec.REMINDERS:
                for reminder in codec.decode_reminders(data):
                    from_json(reminder.json)
            case _:
                self._memory.read(data, self._clock())

    def _erase_reminders(self, task: Task, key: bytes, data: bytes, state: ShardState) -> None:
        erased = _wanted_key(task)
        reminders = codec.decode_reminders(data)
        kept = [each for each in reminders if self._reader.business_key(each.raw_key) != erased]
        if len(kept) == len(reminders):
            return
        task.count("reminders", len(reminders) - len(kept))
        if kept:
            state.put(key, codec.encode_reminders(kept))
        else:
            state.remove(key)

    def _exported(self, key: bytes, data: bytes) -> ExportedMemory | None:
        """None for one that has expired and was not swept yet."""
        stored = codec.decode_memory(data)
        if self._memory.is_expired(stored, self._clock()):
            return None
        memory = self._memory.read(data, self._clock())
        content: dict[str, Any] = memory.model_dump(mode="json")
        return ExportedMemory(
            key=tuple(from_json(key)),
            memory=content,
            schema_version=stored.schema_version,
            written_at_ms=stored.written_at_ms,
        )


def _wanted_key(task: Task) -> bytes:
    key = None if task.command is None else task.command.key
    if key is None:
        raise AssertionError(f"{task.kind} concerns a key")
    return to_json(list(key))


def _problem(key: bytes, error: Exception) -> Problem:
    return Problem(
        what=codec.KIND_NAMES[key[:1]],
        key=key[1:].decode(errors="backslashreplace"),
        reason=str(error)[:1000],
    )
