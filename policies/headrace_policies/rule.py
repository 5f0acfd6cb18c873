"""What a rule is: what it answers and reads, how it judges, what to do, and examples of both verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headrace_policies.nodes import Node
from headrace_policies.stacks import Case

Severity = Literal["low", "medium", "high", "critical"]
Properties = Mapping[str, Any]
Judge = Callable[[Case], Iterator[str]]
"""Yields what is wrong with the case's resource; nothing where all is well."""
Change = tuple[tuple[str | int, ...], object]
"""A property's path and what it becomes."""
Remedy = Callable[[Node], Iterator[Change]]
"""Faulty properties -> the changes that mend them, and no other."""


@dataclass(frozen=True)
class Option:
    """One value of a rule's configuration: a JSON schema, and what holds where nothing is configured."""

    schema: Mapping[str, Any]
    default: Any


@dataclass(frozen=True)
class Declared:
    """A resource of an example."""

    kind: str
    properties: Properties
    name: str = "example"


Example = tuple[Declared, ...]
"""The first resource is the one that is judged."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    id: str
    """Of the control that gives the rule its name, as the control's owner writes it."""
    title: str
    """What has to hold, as a sentence without its full stop."""
    also: tuple[str, ...] = ()
    """Ids of other frameworks' controls that the rule answers."""
    severity: Severity
    governs: tuple[str, ...]
    """Types of the resources that are judged."""
    relates: tuple[str, ...] = ()
    """Types of the other resources that are read; with any, the rule is judged on the whole stack."""
    decides: tuple[str, ...]
    """Path of the property that decides, in the first resource of the passing example."""
    decides_in: int = 0
    """Which of the passing example's resources holds it instead."""
    absent_is_fault: bool
    """Whether a resource without that property is at fault."""
    why: str
    fix: str
    judge: Judge
    remedy: Remedy | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    advisory: bool = False
    """Stops no update unless a configuration says so."""
    fails: Example
    passes: Example

    def configured(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The options' values: as configured, else their defaults."""
        return {name: config.get(name, option.default) for name, option in self.options.items()}

    @property
    def sees_stack(self) -> bool:
        return bool(self.relates)
