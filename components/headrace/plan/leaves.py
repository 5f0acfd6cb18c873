"""A plan taken apart: each value that is not made of others, with its path and its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from headrace.plan.model import CommonPlan


@dataclass(frozen=True)
class Leaf:
    path: str
    """Dotted, lists by position: ``agents[0].spec.limits.max_event_bytes``."""
    value: Any
    reason: str


def leaves(plan: CommonPlan) -> Iterator[Leaf]:
    """Every leaf of a plan, in the plan's order; a leaf without a reason raises :class:`KeyError`."""
    for field in type(plan).model_fields:
        if field != "reasons":
            for path, value in _below(field, getattr(plan, field)):
                yield Leaf(path, value, plan.reasons[path])


def _below(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from _below(f"{path}.{field}", getattr(value, field))
    elif isinstance(value, dict) and value:
        for key, entry in value.items():
            yield from _below(f"{path}.{key}", entry)
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        for at, item in enumerate(value):
            yield from _below(f"{path}[{at}]", item)
    else:
        yield path, value
