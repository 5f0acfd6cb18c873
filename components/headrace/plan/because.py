"""A value and its reason, which never part.

``because(17000, "first port of the stack")`` is a leaf. :func:`build`, :func:`mapping` and
:func:`sequence` put leaves together into models, mappings and tuples, and the reasons with them,
under their dotted paths. There is no other way to make a plan, so no leaf can lack a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Because(Generic[T]):
    """A value, and the reasons of its leaves by path; the path of a leaf itself is empty."""

    value: T
    reasons: Mapping[str, str]


def because(value: T, reason: str) -> Because[T]:
    """One leaf: a value that is not taken apart, and why it is what it is."""
    return Because(value, {"": reason})


def build(model: type[M], /, **fields: Because[Any]) -> Because[M]:
    """A model from all of its fields; those with a default too, as a default has no reason."""
    if missing := model.model_fields.keys() - fields.keys():
        raise TypeError(f"{model.__name__}: nothing worked out for {sorted(missing)}")
    return Because(model(**{name: part.value for name, part in fields.items()}), _joined(fields.items()))


def mapping(entries: Mapping[str, Because[T]], otherwise: str) -> Because[dict[str, T]]:
    """A mapping from its entries; ``otherwise`` is the reason of an empty one."""
    if not entries:
        return because({}, otherwise)
    return Because({key: part.value for key, part in entries.items()}, _joined(entries.items()))


def settings(entries: Mapping[str, tuple[Any, str]]) -> Because[dict[str, str]]:
    """A properties file: each key with its value, written as text, and its reason."""
    return mapping({key: because(_written(value), why) for key, (value, why) in entries.items()}, "")


def sequence(parts: Iterable[Because[T]]) -> Because[tuple[T, ...]]:
    """A tuple from its items."""
    items = list(parts)
    return Because(
        tuple(part.value for part in items), _joined((f"[{at}]", part) for at, part in enumerate(items))
    )


def merged(*parts: Because[dict[str, T]]) -> Because[dict[str, T]]:
    """One mapping from several that have no key in common."""
    values: dict[str, T] = {}
    reasons: dict[str, str] = {}
    for part in parts:
        if twice := values.keys() & part.value.keys():
            raise ValueError(f"worked out twice: {sorted(twice)}")
        values |= part.value
        reasons |= part.reasons
    return Because(values, reasons)


def _joined(parts: Iterable[tuple[str, Because[Any]]]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for name, part in parts:
        for below, reason in part.reasons.items():
            joint = "." if below and not below.startswith("[") else ""
            reasons[f"{name}{joint}{below}"] = reason
    return reasons


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
