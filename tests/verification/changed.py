"""Random changes of an agent's memory as a job has them: from a file, each key in a shard of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from headrace_agents import Agent, codec
from tests.verification.schema_changes import KEYS, SchemaChange

FILE = "HEADRACE_TEST_CHANGES"
"""Environment variable with the file's path."""
NAME = "Changed"
EXPIRY_MS = 3_600_000
NOW_MS, OLD_MS = 2_000_000_000_000, 1_000
"""When memories were written: one of the future does not expire."""
CHANGES = TypeAdapter(tuple[SchemaChange, ...])


@cache
def changes() -> Sequence[SchemaChange]:
    return CHANGES.validate_json(Path(os.environ[FILE]).read_bytes())


def change_and_key(shard: int) -> tuple[int, int]:
    return divmod(shard, len(KEYS))


def entry_point(change: int) -> str:
    return f"{__name__}:{NAME}{change}"


def __getattr__(name: str) -> type[Agent[Any, Any, Any]]:
    """The class that an entry point names."""
    number = name.removeprefix(NAME)
    if number == name or not number.isdecimal():
        raise AttributeError(name)
    return _agent(int(number))


@cache
def _agent(number: int) -> type[Agent[Any, Any, Any]]:
    return changes()[number].agent()


def memories(shard: int) -> Iterator[tuple[bytes, bytes]]:
    """What the earlier version left in a shard."""
    number, key = change_and_key(shard)
    data = changes()[number].memories[key].encoded(NOW_MS, OLD_MS)
    if data is not None:
        yield codec.memory_key(b"[%d]" % key), data
