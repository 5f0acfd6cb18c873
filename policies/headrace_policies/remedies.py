"""Properties with some values changed, all others as they were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headrace_policies.rule import Change, Remedy


def changed(properties: Mapping[str, Any], path: Sequence[str], value: object) -> dict[str, Any]:
    """A copy whose value at `path` is `value`; what lies on the way is made where it is missing."""
    key, *rest = path
    if not rest:
        return dict(properties) | {key: value}
    below = properties.get(key)
    return dict(properties) | {key: changed(below if isinstance(below, Mapping) else {}, rest, value)}


def always(*path: str, value: object) -> Remedy:
    """The remedy that sets one property, whatever is there."""
    return lambda _faulty: iter([(path, value)])


def apply(properties: Any, changes: Iterable[Change]) -> None:
    """Change properties in place: the SDK's own containers keep secrets secret only so."""
    for path, value in changes:
        *way, last = path
        container = properties
        for key in way:
            if isinstance(key, str) and container.get(key) is None:
                container[key] = {}
            container = container[key]
        container[last] = value
