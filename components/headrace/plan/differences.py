"""What is different between two plans, leaf by leaf; parts that have names are matched by them.

Plans are compared as JSON, so that one that an earlier release recorded can be compared too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    path: str
    """Dotted; a list's items by name: ``topics[support.public.orders].partitions``."""
    before: Any
    after: Any
    """``ABSENT`` where there is none."""
    reason: str
    """Of the value after."""


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Every leaf that changed, came or went, in the order of ``after``; a part that came or went is one."""
    reasons = after.get("reasons", {})
    fields = [name for name in {**after, **before} if name != "reasons"]
    return [
        found
        for name in fields
        for found in _below(name, name, before.get(name, ABSENT), after.get(name, ABSENT), reasons)
    ]


def _below(
    shown: str, path: str, before: Any, after: Any, reasons: Mapping[str, str]
) -> Iterator[Difference]:
    """``path`` is the one in the plan after, by which its reasons are found."""
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in {**after, **before}:
            below = (before.get(key, ABSENT), after.get(key, ABSENT))
            yield from _below(f"{shown}.{key}", f"{path}.{key}", *below, reasons)
    elif _named(before) and _named(after):
        old = {item["name"]: item for item in before}
        new = {item["name"]: item for item in after}
        places = {name: at for at, name in enumerate(new)}
        for name in {**new, **old}:
            below = (old.get(name, ABSENT), new.get(name, ABSENT))
            yield from _below(f"{shown}[{name}]", f"{path}[{places.get(name)}]", *below, reasons)
    else:
        yield Difference(shown, _short(before), _short(after), reasons.get(path, ""))


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) and "name" in item for item in value)


def _short(value: Any) -> Any:
    """A part that came or went is named, not written out."""
    if isinstance(value, Mapping):
        return f"a part with {len(value)} values"
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        return f"{len(value)} parts"
    return value
