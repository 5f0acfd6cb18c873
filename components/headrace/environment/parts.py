"""The well-formed parts of a declaration that need not be well-formed as a whole.

One wrong field does not hide what is wrong elsewhere: rules look at what could be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from headrace.environment import names
from headrace.environment.model import (
    Agent,
    ChatEndpoint,
    Checkpoints,
    Model,
    ModelEndpoint,
    Recovery,
    Source,
    Table,
    Tracing,
)
from headrace.environment.problem import Path, Problem
from headrace.environment.substrates import Substrate

T = TypeVar("T")


@dataclass(frozen=True)
class Placed(Generic[T]):
    """A well-formed part, and where it stands."""

    path: Path
    value: T

    def problem(self, *below: str | int, given: str, allowed: str) -> Problem:
        return Problem((*self.path, *below), given, allowed)


@dataclass(frozen=True)
class Parts:
    """The well-formed parts of a declaration."""

    environment: str
    sources: tuple[Placed[Source], ...]
    agents: tuple[Placed[Agent], ...]
    recovery: Placed[Recovery] | None
    checkpoints: Placed[Checkpoints] | None
    substrate: Placed[Any] | None
    tracing: Placed[Tracing] | None
    agents_removed: Placed[tuple[str, ...]]
    every_source: bool
    """Whether every source could be read."""

    @property
    def tables(self) -> tuple[Placed[Table], ...]:
        return tuple(
            Placed((*source.path, "tables", at), table)
            for source in self.sources
            for at, table in enumerate(source.value.tables)
        )

    @property
    def models(self) -> tuple[tuple[Placed[Agent], Placed[Model]], ...]:
        return tuple(
            (agent, Placed((*agent.path, "model"), agent.value.model))
            for agent in self.agents
            if agent.value.model is not None
        )

    @property
    def chat_endpoints(self) -> tuple[tuple[Placed[Agent], Placed[ChatEndpoint]], ...]:
        """Every model's own, and its fallbacks."""
        return tuple(
            (agent, Placed((*agent.path, *path), endpoint))
            for agent in self.agents
            for path, endpoint in agent.value.chat_endpoints.items()
        )

    @property
    def model_endpoints(self) -> tuple[tuple[Placed[Agent], Placed[ModelEndpoint]], ...]:
        """Those, and embedding models."""
        return tuple(
            (agent, Placed((*agent.path, *path), endpoint))
            for agent in self.agents
            for path, endpoint in agent.value.model_endpoints.items()
        )

    @property
    def inputs(self) -> Mapping[str, Table]:
        """Every declared table under its name as an agent's input."""
        return {
            names.table_topic(source.value.name, table.name): table
            for source in self.sources
            for table in source.value.tables
        }


def parts_of(data: Mapping[str, Any], environment: str) -> Parts:
    """What can be read of a declaration; ``environment`` is its name."""
    sources = _items(Source, data, "sources")
    given_sources = data.get("sources")
    return Parts(
        environment,
        sources=sources,
        agents=_items(Agent, data, "agents"),
        recovery=_part(Recovery, data.get("recovery"), ("recovery",)),
        checkpoints=_part(Checkpoints, data.get("checkpoints"), ("checkpoints",)),
        substrate=_part(Substrate, data.get("substrate"), ("substrate",)),
        tracing=_part(Tracing, data.get("tracing"), ("tracing",)),
        agents_removed=Placed(("agents_removed",), _texts(data.get("agents_removed"))),
        every_source=isinstance(given_sources, (list, tuple)) and len(sources) == len(given_sources),
    )


def _part(kind: Any, data: Any, path: Path) -> Placed[Any] | None:
    try:
        return Placed(path, TypeAdapter(kind).validate_python(data))
    except ValidationError:
        return None


def _texts(given: Any) -> tuple[str, ...]:
    return (
        tuple(each if isinstance(each, str) else "" for each in given)
        if isinstance(given, (list, tuple))
        else ()
    )


def _items(kind: type[T], data: Mapping[str, Any], field: str) -> tuple[Placed[T], ...]:
    items = data.get(field)
    if not isinstance(items, (list, tuple)):
        return ()
    placed = (_part(kind, item, (field, at)) for at, item in enumerate(items))
    return tuple(part for part in placed if part is not None)
