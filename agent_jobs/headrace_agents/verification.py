"""Proof that a version of an agent can go on from a state: every entry is read as the operator reads it.

Nothing is written, started or asked. What is read is forgotten at once, so that the memory which a
verification takes does not grow with what it reads; of the failures of a kind few are told by their keys.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, ValidationError

from headrace_agents import codec
from headrace_agents.agent import LoadedAgent, SettingsError
from headrace_agents.configuration import Configurations
from headrace_agents.events import EventReader, RejectedError
from headrace_agents.memory import UnreadableMemoryError
from headrace_agents.operator import memory_format
from headrace_agents.records import InputRecord, Position, Record
from headrace_agents.shards import shard_ids
from headrace_agents.spec import AgentJobSpec
from headrace_agents.tasks import decode_tasks

EXAMPLES = 5
"""Of one reason, told by their keys."""
REASONS = 50
"""Told one by one; what is beyond them is counted together."""
_REST = "other reasons"
_LONGEST_REASON = 300
_LONGEST_KEY = 200


class Example(Record):
    shard: int
    """Its index; of state that is no shard's of the specification, Flink's key."""
    key: str
    """The business key, or what stands for an entry that has none."""


class Finding(Record):
    """Entries that have the same wrong with them."""

    kind: str
    """Of the entry, as in :data:`headrace_agents.codec.KIND_NAMES`; ``operator`` and ``shard`` where it is
    the state as a whole."""
    reason: str
    """Without the values that were read: a report is no place for what an agent remembers."""
    total: int
    examples: tuple[Example, ...] = ()


class Report(Record):
    """Of a shard, or of a whole savepoint."""

    agent: str
    shards: int = 0
    """With something in them."""
    entries: dict[str, int] = Field(default_factory=dict)
    """By kind."""
    size_bytes: int = 0
    """Of keys and values."""
    memory_versions: dict[int, int] = Field(default_factory=dict)
    """Version of the memory's model -> memories that were written with it."""
    migrated: int = 0
    """Memories that were read by way of migrations."""
    expired: int = 0
    """Memories that are past their time: the next run of their key begins with a new one."""
    failures: tuple[Finding, ...] = ()
    """What would end the job, sooner or later."""
    dead_letters: tuple[Finding, ...] = ()
    """Events and reminders that this version can't be given: dead letters, or held where the declaration
    says so."""
    settings_refused: tuple[Finding, ...] = ()
    """Settings that this version does not take: runs go on with those that are declared."""
    seconds: float = 0.0

    @property
    def is_proven(self) -> bool:
        return not self.failures


class Verification:
    """Of one version of an agent. ``now_ms`` decides which memories have expired."""

    def __init__(
        self, spec: AgentJobSpec, agent: LoadedAgent, *, now_ms: int, examples: int = EXAMPLES
    ) -> None:
        self._name = spec.name
        self._index_of = {
            id_: index for index, id_ in enumerate(shard_ids(spec.shards, spec.max_parallelism))
        }
        self._reader = EventReader(spec, agent)
        self._memory = memory_format(spec, agent)
        self._configurations = Configurations(agent)
        self._now_ms = now_ms
        self._examples = examples

    def shard(self, shard_id: int, entries: Iterable[tuple[bytes, bytes]]) -> Report:
        """Reads all that is kept of a shard, in whatever order it comes."""
        index = self._index_of.get(shard_id)
        tally = _Tally(shard_id if index is None else index, self._examples)
        for key, value in entries:
            tally.size_bytes += len(key) + len(value)
            kind = codec.KIND_NAMES.get(key[:1], "unknown")
            tally.entries[kind] += 1
            if index is None:
                tally.failures.add("shard", "no shard of the specification has this id", str(shard_id))
            else:
                self._read(kind, key, value, tally)
        return tally.report(self._name)

    def _read(self, kind: str, key: bytes, value: bytes, tally: _Tally) -> None:
        try:
            match kind:
                case "memory":
                    self._read_memory(value, tally)
                case "inbox":
                    self._read_event(kind, codec.decode_entry(value).record, tally)
                case "journal":
                    codec.decode_journal(value)
                case "reminders":
                    self._read_reminders(key, value, tally)
                case "settings":
                    self._read_settings(value, tally)
                case "head":
                    codec.decode_head(value)
                case "tasks":
                    decode_tasks(value)
                case _:
                    tally.failures.add(kind, "this runtime knows no entries of this kind", _text(key))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a migration is the agent's own code
            tally.failures.add(kind, _reason(error), self._named(kind, key, value))

    def _read_memory(self, value: bytes, tally: _Tally) -> None:
        self._memory.read(value, self._now_ms)
        stored = codec.decode_memory(value)
        tally.memory_versions[stored.schema_version] += 1
        if self._memory.is_expired(stored, self._now_ms):
            tally.expired += 1
        elif not self._memory.is_current(stored):
            tally.migrated += 1

    def _read_event(self, kind: str, record: InputRecord, tally: _Tally) -> None:
        """As an event comes to its handler: what raises here, ends a run and not the job."""
        reading = self._reader.read(record)
        error: Exception | None = reading.rejected
        if reading.work is not None:
            try:
                reading.work.event(reading.position, reading.committed_at_ms)
            except Exception as raised:  # noqa: BLE001 - a validator is the agent's own code
                error = raised
        if error is not None:
            tally.dead_letters.add(kind, _reason(error), self._event(record))

    def _read_reminders(self, key: bytes, value: bytes, tally: _Tally) -> None:
        due_at_ms = codec.due_at_ms(key)
        for reminder in codec.decode_reminders(value):
            position = Position(reminder.topic, 0, 0)
            self._read_event(
                "reminders", InputRecord(position, due_at_ms, reminder.raw_key, reminder.json), tally
            )

    def _read_settings(self, value: bytes, tally: _Tally) -> None:
        settings = codec.decode_settings(value)
        try:
            self._configurations.instance(settings.patch)
        except SettingsError as error:
            tally.settings_refused.add("settings", _reason(error), f"version {settings.version}")

    def _named(self, kind: str, key: bytes, value: bytes) -> str:
        """Whose it is, as far as it can be read."""
        try:
            match kind:
                case "inbox":
                    return self._event(codec.decode_entry(value).record)
                case "journal":
                    return f"event {codec.sequence_number(key[:9])} of the inbox"
                case "reminders":
                    return f"due at {codec.due_at_ms(key)} ms"
                case _:
                    return _text(key[1:])
        except (ValueError, struct.error):
            return _text(key[1:])

    def _event(self, record: InputRecord) -> str:
        topic, partition, offset = record.position
        return f"{_text(self._reader.business_key(record.key) or b'')} at {topic} {partition}:{offset}"


def combined(agent: str, parts: Iterable[Report], *, examples: int = EXAMPLES) -> Report:
    """What the reports of a savepoint's shards say together; takes them one by one."""
    whole = _Tally(0, examples)
    shards = 0
    for part in parts:
        shards += bool(part.entries)
        whole.entries.update(part.entries)
        whole.memory_versions.update(part.memory_versions)
        whole.size_bytes += part.size_bytes
        whole.migrated += part.migrated
        whole.expired += part.expired
        whole.failures.merge(part.failures)
        whole.dead_letters.merge(part.dead_letters)
        whole.settings_refused.merge(part.settings_refused)
    return whole.report(agent).model_copy(update={"shards": shards})


class _Findings:
    """By kind and reason; both how many these are and how many examples are bounded."""

    def __init__(self, shard: int, examples: int) -> None:
        self._shard = shard
        self._most = examples
        self._found: dict[tuple[str, str], tuple[int, list[Example]]] = {}

    def add(self, kind: str, reason: str, key: str) -> None:
        self._add(kind, reason, 1, (Example(shard=self._shard, key=key[:_LONGEST_KEY]),))

    def merge(self, findings: Iterable[Finding]) -> None:
        for each in findings:
            self._add(each.kind, each.reason, each.total, each.examples)

    def all(self) -> Iterator[Finding]:
        """The most frequent first."""
        for (kind, reason), (total, examples) in sorted(
            self._found.items(), key=lambda found: (-found[1][0], found[0])
        ):
            yield Finding(kind=kind, reason=reason, total=total, examples=tuple(examples))

    def _add(self, kind: str, reason: str, total: int, examples: Iterable[Example]) -> None:
        if (kind, reason) not in self._found and len(self._found) >= REASONS:
            reason = _REST
        before, kept = self._found.get((kind, reason), (0, []))
        kept += [each for each in dict.fromkeys(examples) if each not in kept][: self._most - len(kept)]
        self._found[kind, reason] = before + total, kept


@dataclass
class _Tally:
    shard: int
    examples: int
    entries: Counter[str] = field(default_factory=Counter)
    memory_versions: Counter[int] = field(default_factory=Counter)
    size_bytes: int = 0
    migrated: int = 0
    expired: int = 0

    def __post_init__(self) -> None:
        self.failures = _Findings(self.shard, self.examples)
        self.dead_letters = _Findings(self.shard, self.examples)
        self.settings_refused = _Findings(self.shard, self.examples)

    def report(self, agent: str) -> Report:
        return Report(
            agent=agent,
            shards=1 if self.entries else 0,
            entries=dict(sorted(self.entries.items())),
            size_bytes=self.size_bytes,
            memory_versions=dict(sorted(self.memory_versions.items())),
            migrated=self.migrated,
            expired=self.expired,
            failures=tuple(self.failures.all()),
            dead_letters=tuple(self.dead_letters.all()),
            settings_refused=tuple(self.settings_refused.all()),
        )


def _reason(error: BaseException) -> str:
    """The same for all that have the same wrong with them: of what was read it says where, not what."""
    prefix = f"{error.reason}: " if isinstance(error, RejectedError) else ""
    if isinstance(error, UnreadableMemoryError | RejectedError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, ValidationError):
        found = {f"{_place(each['loc'])}: {each['msg']}" for each in error.errors(include_input=False)}
        text = f"{error.title}: {'; '.join(sorted(found))}"
    elif isinstance(error, RejectedError | SettingsError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    return f"{prefix}{text}"[:_LONGEST_REASON]


def _place(location: Iterable[Any]) -> str:
    return ".".join("*" if isinstance(part, int) else str(part) for part in location) or "(all of it)"


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
