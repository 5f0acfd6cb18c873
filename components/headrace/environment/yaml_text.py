"""Strict YAML: a key twice is an error, and every value knows its line.

PyYAML's own loaders keep the last of two equal keys, which silently drops half of what a person
wrote, and forget where a value stood.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from headrace.environment.problem import Path, Problem

DEEPEST = 64


@dataclass
class Document:
    """A YAML text as plain data, with the line of every path in it."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class _Reader(yaml.SafeLoader):
    """Used for its composer and its reading of scalars."""


def read(text: str) -> Document:
    """Read one YAML document; what is wrong with its form is in ``problems``."""
    document = Document()
    try:
        reader = _Reader(text)
        root = reader.get_single_node()
        if root is not None:
            document.data = _value(reader, root, (), document)
    except yaml.YAMLError as wrong:
        mark = getattr(wrong, "problem_mark", None)
        said = getattr(wrong, "problem", None) or "text that is not YAML"
        document.problems.append(Problem((), str(said), "one YAML document", mark.line + 1 if mark else None))
    return document


def _value(reader: _Reader, node: yaml.Node, path: Path, document: Document) -> Any:
    document.lines[path] = node.start_mark.line + 1
    if len(path) > DEEPEST:
        raise yaml.constructor.ConstructorError(
            problem=f"values nested more than {DEEPEST} deep, or inside themselves",
            problem_mark=node.start_mark,
        )
    if isinstance(node, yaml.MappingNode):
        return _mapping(reader, node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_value(reader, item, (*path, at), document) for at, item in enumerate(node.value)]
    return reader.construct_object(node)


def _mapping(reader: _Reader, node: yaml.MappingNode, path: Path, document: Document) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = reader.construct_object(key_node, deep=True) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            given = f"the key {key!r}" if key is not None else "a key that is not text"
            document.problems.append(Problem(path, given, "keys that are text; put quotes around it", line))
            continue
        if key in mapping:
            first = document.lines[(*path, key)]
            document.problems.append(
                Problem((*path, key), f"twice, first in line {first}", "each key once", line)
            )
            continue
        mapping[key] = _value(reader, value_node, (*path, key), document)
        document.lines[(*path, key)] = line
    return mapping
