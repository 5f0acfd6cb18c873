"""Durations as Flink writes them."""

from __future__ import annotations

import re

_UNITS_MS = {
    "ms": 1,
    "milli": 1,
    "millis": 1,
    "millisecond": 1,
    "s": 1_000,
    "sec": 1_000,
    "second": 1_000,
    "m": 60_000,
    "min": 60_000,
    "minute": 60_000,
    "h": 3_600_000,
    "hour": 3_600_000,
    "d": 86_400_000,
    "day": 86_400_000,
}
"""Flink's `TimeUtils`, without micro- and nanoseconds; its units also have plurals."""


def milliseconds(text: str) -> float | None:
    """None where the text is no duration; a number alone counts milliseconds, as in Flink."""
    match = re.fullmatch(r"\s*(\d+)\s*([a-z]*)\s*", text.lower())
    if not match:
        return None
    amount, unit = match.groups()
    scale = _UNITS_MS.get(unit or "ms") or _UNITS_MS.get(unit.removesuffix("s"))
    return int(amount) * scale if scale else None
