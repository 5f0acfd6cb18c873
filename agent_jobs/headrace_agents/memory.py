"""A key's memory between bytes and the agent's model: versions, migrations, expiry, size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json

from headrace_agents import codec
from headrace_agents.agent import LoadedAgent
from headrace_agents.codec import Memory

_REFRESHES_IN_EXPIRY = 10
"""Memory that stays as it is, is written again when a tenth of its time has passed."""


class UnreadableMemoryError(Exception):
    """A key's memory was written by a runtime or an agent that this one is not compatible with."""


class MemoryTooLargeError(Exception):
    """Memory is over its bound."""


class MemoryFormat:
    """Reads and writes memories of one agent."""

    def __init__(self, agent: LoadedAgent, *, max_bytes: int, expiry_ms: int | None) -> None:
        self._type = agent.memory_type
        self._version = agent.memory_version
        self._migrations = agent.migrations
        self._max_bytes = max_bytes
        self._expiry_ms = expiry_ms

    def is_expired(self, memory: Memory, now_ms: int) -> bool:
        return self._expiry_ms is not None and now_ms - memory.written_at_ms >= self._expiry_ms

    def is_current(self, memory: Memory) -> bool:
        """Whether it needs no migration."""
        return memory.schema_version == self._version

    def read(self, data: bytes | None, now_ms: int) -> BaseModel:
        """The memory, migrated where it is older; a new one where there is none or it has expired.

        Raises UnreadableMemoryError.
        """
        if data is None:
            return self._type()
        try:
            memory = codec.decode_memory(data)
            if self.is_expired(memory, now_ms):
                return self._type()
            if self.is_current(memory):
                return self._type.model_validate_json(memory.json)
            return self._type.model_validate(self._migrated(memory))
        except Exception as error:  # a migration is the agent's own code, and may raise what it likes
            why = f"{type(error).__name__}: {error}"
            raise UnreadableMemoryError(f"can't be read as {self._type.__name__}: {why}") from error

    def write(self, memory: BaseModel, before: bytes | None, now_ms: int) -> bytes | None:
        """What the state is to hold instead of ``before``; None where that may stay.

        Checked by reading it back: what can't be read would fail every later run of the key. Raises
        MemoryTooLargeError, and ValueError where it does not fit its own model.
        """
        json = memory.model_dump_json(warnings=False).encode()
        if before is not None:
            old = codec.decode_memory(before)
            if old.json == json and self.is_current(old) and not self._is_stale(old, now_ms):
                return None
        self._type.model_validate_json(json)
        encoded = codec.encode_memory(Memory(self._version, now_ms, json))
        if len(encoded) > self._max_bytes:
            raise MemoryTooLargeError(f"{len(encoded)} bytes, at most {self._max_bytes} for a key")
        return encoded

    def migrate(self, data: bytes, now_ms: int) -> bytes | None:
        """The same memory in the current version, with the time at which it was written; None where it is.

        Raises UnreadableMemoryError.
        """
        memory = self.read(data, now_ms)
        old = codec.decode_memory(data)
        if self.is_current(old):
            return None
        json = memory.model_dump_json(warnings=False).encode()
        return codec.encode_memory(Memory(self._version, old.written_at_ms, json))

    def _is_stale(self, memory: Memory, now_ms: int) -> bool:
        if self._expiry_ms is None:
            return False
        return (now_ms - memory.written_at_ms) * _REFRESHES_IN_EXPIRY >= self._expiry_ms

    def _migrated(self, memory: Memory) -> Mapping[str, Any]:
        if memory.schema_version > self._version:
            raise ValueError(
                f"its version is {memory.schema_version}, this agent's {self._version}: a later one wrote it"
            )
        content = from_json(memory.json)
        for version in range(memory.schema_version, self._version):
            migration = self._migrations.get(version)
            if migration is None:
                raise ValueError(f"no migration starts from version {version}")
            content = migration(content)
        return dict(content)
