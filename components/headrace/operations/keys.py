"""Business keys on a command line: ``customer_id=7``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.errors import HeadraceError


def parse_key(fields: Sequence[str], given: Sequence[str]) -> tuple[Any, ...]:
    """The values of an agent's key fields, in their order; ``given`` are ``FIELD=VALUE``.

    A value is read as a number, ``true`` or ``false`` or a quoted string where it is JSON, else as text.
    Raises HeadraceError for what is no value of this key.
    """
    allowed = " ".join(f"{name}=VALUE" for name in fields)
    values: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals or name not in fields or name in values:
            raise HeadraceError(f"key: given {' '.join(given)}; allowed: {allowed}")
        values[name] = _scalar(text)
    if missing := [name for name in fields if name not in values]:
        raise HeadraceError(f"key: no value for {', '.join(missing)}; allowed: {allowed}")
    return tuple(values[name] for name in fields)


def key_text(fields: Sequence[str], values: Sequence[Any]) -> str:
    """As it is written on a command line, with text in quotes."""
    pairs = zip(fields, values, strict=True)
    return " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in pairs)


def mapping_text(key: Mapping[str, Any]) -> str:
    return key_text(list(key), list(key.values()))


def _scalar(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float) else text
