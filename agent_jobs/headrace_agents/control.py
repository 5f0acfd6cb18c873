"""Commands to the shards of a running agent, and what they report.

A command goes to the control topic, a record for each shard it concerns, with :func:`control_key` as the
record's key. Each of these shards reports to the reports topic, at last with ``done``.
"""

from __future__ import annotations

import json
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from headrace_agents.records import Record

CommandKind = Literal[
    "pause", "resume", "drain", "wind_down", "check", "migrate", "export", "get", "erase", "configure"
]
ReportKind = CommandKind | Literal["catch_up"]
"""``catch_up``: nobody's command, but what a rollback left to do (:mod:`headrace_agents.catching_up`)."""
SHARD_FIELD = "headrace.shard"
"""Of the key of a control record: the index of the shard, from 0."""


class SettingsChange(Record):
    """A version of an agent's settings, as a command and in the agent's history."""

    version: int = Field(gt=0)
    """Higher than that of any before it."""
    patch: dict[str, Any]
    """All that is different from the declaration: a JSON merge patch."""
    by: str = ""
    why: str = ""


class Command(Record):
    """What one shard is told.

    =========  ====================================================================================
    kind       what a shard does; it is done
    =========  ====================================================================================
    pause      starts no run any more, takes events in; when its last run has ended
    resume     starts runs again; at once
    drain      as pause, but events that are in the inbox by then are decided first; when they are
    wind_down  as pause, but nothing of it is kept: a job that is started anew starts runs again, and so does
               this one a minute after the last run's deadline, where nobody has stopped it by then
    check      reads all of its state; when it has
    migrate    writes every memory of an earlier version anew; when it has
    export     reports every memory; when it has
    get        reports the memory of ``key``; at once
    erase      forgets ``key``: memory, events that wait, steps, reminders; when it has
    configure  runs that start from now on have ``settings``; at once, or with a problem where the agent's
               class does not take them or a later version is in force: then nothing has changed
    =========  ====================================================================================
    """

    id: str
    kind: CommandKind
    key: tuple[Any, ...] | None = None
    """The business key of ``get`` and ``erase``: the values of the agent's key fields, in their order."""
    settings: SettingsChange | None = None
    """Of ``configure``."""

    @model_validator(mode="after")
    def _has_its_key(self) -> Self:
        if (self.key is not None) != (self.kind in ("get", "erase")):
            raise ValueError(f"{self.kind} {'needs a' if self.key is None else 'takes no'} key")
        if (self.settings is not None) != (self.kind == "configure"):
            raise ValueError(f"{self.kind} {'needs' if self.settings is None else 'takes no'} settings")
        return self


class ExportedMemory(Record):
    key: tuple[Any, ...]
    memory: dict[str, Any]
    schema_version: int
    """It was written with; exported is what this version of the agent reads."""
    written_at_ms: int


class Problem(Record):
    """Something in state that can't be read, or a table whose events are held."""

    what: str
    """``memory``, ``inbox``, ``journal``, ``reminders``, ``settings``, ``table`` or ``event``"""
    key: str
    reason: str


class Report(Record):
    """What one shard says of one command; parts of an export come before the last one, which is done."""

    command: str
    """The command's id, or a rollback's."""
    kind: ReportKind
    shard: int
    done: bool
    counts: dict[str, int] = Field(default_factory=dict)
    memories: tuple[ExportedMemory, ...] = ()
    problems: tuple[Problem, ...] = ()


def control_key(shard: int) -> bytes:
    return json.dumps({SHARD_FIELD: shard}, separators=(",", ":")).encode()


def records_of(command: Command, shards: int) -> list[tuple[bytes, bytes]]:
    """One for each shard.

    Commands that concern a key go to all shards too: only the key's own finds something, and nothing here
    depends on how Flink's SQL works out which that is.
    """
    return [(control_key(shard), command.encode()) for shard in range(shards)]
