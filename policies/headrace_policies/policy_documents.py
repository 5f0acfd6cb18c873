"""Policy documents as IAM reads them: statements, and what an action, resource or principal covers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from headrace_policies.nodes import Node


@dataclass(frozen=True)
class Statement:
    node: Node

    @property
    def allows(self) -> bool:
        return self.node.at("Effect").text == "Allow"

    @property
    def actions(self) -> list[str]:
        return [action.lower() for action in self.node.at("Action").texts]

    @property
    def resources(self) -> list[str]:
        return self.node.at("Resource").texts

    @property
    def principals(self) -> list[str]:
        """Of any kind; a bare ``*`` too."""
        principal = self.node.at("Principal")
        return (
            principal.texts
            if principal.text
            else [text for k in principal.keys for text in principal.at(k).texts]
        )

    @property
    def is_conditional(self) -> bool:
        return bool(self.node.at("Condition").keys)

    def covers(self, action: str) -> bool:
        """Whether one of its actions, wildcards included, covers this one."""
        return any(fnmatchcase(action.lower(), pattern) for pattern in self.actions)

    @property
    def on_everything(self) -> bool:
        return "*" in self.resources


def statements(policy: Node) -> Iterator[Statement]:
    """Those of a document given as JSON text or as a mapping.

    Raises:
        Unknown: the document isn't known yet.
    """
    for node in policy.document.at("Statement").items:
        yield Statement(node)
