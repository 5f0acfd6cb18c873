"""What a version of an agent is, as far as its state and a change of it go.

Written in the agent's own environment (:mod:`headrace_agents.describing`), beside it or into its image; read
where another version is to take its place. The module imports neither Flink nor a model client.

Nothing here depends on the clock or the machine: the same code has the same manifest, byte by byte.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from headrace_agents.operators import Operator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shape(_Part):
    """A pydantic model, as far as JSON schemas tell."""

    name: str
    """Of the class."""
    read: dict[str, Any]
    """JSON schema of what it reads. Two things are added to pydantic's: ``x-keys``, the schema that a
    mapping's keys are read by, and the format ``decimal``."""
    written: dict[str, Any]
    """JSON schema of what it writes."""
    untold: tuple[str, ...] = ()
    """What no schema tells of its reading or writing (validators, aliases, strictness), each with its
    place."""


class MemoryShape(_Part):
    """The memory that the agent keeps of a key."""

    version: int
    migrates_from: tuple[int, ...]
    """Versions that a migration starts from, ascending."""
    shape: Shape


class Steps(_Part):
    """Names of steps that the source names as literals: what a run in flight may be read back by."""

    names: tuple[str, ...]
    dynamic: bool
    """Whether there are others, whose names are worked out as the agent runs."""


class Manifest(_Part):
    """One version of one agent."""

    entry_point: str
    runtime_version: str
    """Of the distribution `headrace-agents`."""
    flink_version: str = ""
    """Of PyFlink beside it, which is the Flink that runs it; empty where it was not written down yet."""
    state_format: int
    """Version of the encoding of state (:data:`headrace_agents.codec.VERSION`)."""
    operators: tuple[Operator, ...]
    memory: MemoryShape
    reminders: tuple[Shape, ...]
    """Payloads."""
    answers: Shape | None
    """What humans answer; None where the agent asks nobody."""
    decisions: tuple[Shape, ...]
    settings: Shape
    prompts: dict[str, str]
    """Settings that are prompts -> hex SHA-256 of what stands beside the agent."""
    steps: Steps
    code: str
    """Digest of the code of the agent's package and of the runtime, prompts among it: `code` of an
    :class:`~headrace_agents.spec.AgentJobSpec` on this machine."""
    python_code: str
    """The same of the Python files alone."""

    def canonical(self) -> str:
        """As JSON on one line, keys in order."""
        return _canonical(self)


class Manifests(_Part):
    """What ``headrace-agents manifest`` writes."""

    agents: dict[str, Manifest]
    """By entry point."""

    def canonical(self) -> str:
        """As JSON on one line, keys in order."""
        return _canonical(self)


def _canonical(model: BaseModel) -> str:
    return json.dumps(model.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
