"""What rules are given: a resource, the stack around it, and the rule's configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace_policies.nodes import Node, Unknown

IDENTITIES = (("id",), ("arn",), ("name",), ("bucket",), ("keyId",), ("metadata", "name"))
"""Properties by whose value other resources refer to one."""


def canonical(kind: str) -> str:
    """A resource type by today's name: pulumi-aws 6 calls buckets and their settings V2."""
    return re.sub(r"V2\b", "", kind)


@dataclass(frozen=True)
class Resource:
    """One resource; `depends` says of each property which resources' URNs it was made from."""

    urn: str
    kind: str
    name: str
    properties: Node
    depends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def at(self, *keys: str) -> Node:
        return self.properties.at(*keys)

    @property
    def identities(self) -> set[str]:
        known = (self.at(*path) for path in IDENTITIES)
        return {node.text for node in known if not node.is_unknown and node.text}


@dataclass(frozen=True)
class Stack:
    resources: tuple[Resource, ...]

    def of(self, *kinds: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.kind in kinds]


@dataclass(frozen=True)
class Case:
    """What is judged. A rule that relates nothing sees a stack of this resource alone."""

    resource: Resource
    stack: Stack
    config: Mapping[str, Any]

    def at(self, *keys: str) -> Node:
        return self.resource.at(*keys)

    def referring(self, kind: str, *by: str) -> list[Resource]:
        """The resources of `kind` whose property at the path `by` names this one.

        Raises:
            Unknown: none does, and of one it isn't known yet.
        """
        candidates = self.stack.of(kind)
        found = [other for other in candidates if self._refers(other, by)]
        if not found:
            for other in candidates:
                if other.at(*by).is_unknown and not other.depends.get(by[0]):
                    raise Unknown(f"{other.name}.{'.'.join(by)}")
        return found

    def referred(self, kind: str, *by: str) -> list[Resource]:
        """The resources of `kind` that this one's property at the path `by` names, one or a list of them.

        Raises:
            Unknown: what it names isn't known yet.
        """
        candidates = self.stack.of(kind)
        depends = self.resource.depends.get(by[0], ())
        by_dependency = [other for other in candidates if other.urn in depends]
        if by_dependency or not candidates:
            return by_dependency
        named = set(self.at(*by).texts)
        return [other for other in candidates if other.identities & named]

    def _refers(self, other: Resource, by: tuple[str, ...]) -> bool:
        node = other.at(*by)
        if self.resource.urn in other.depends.get(by[0], ()):
            return True
        return not node.is_unknown and node.text in self.resource.identities
