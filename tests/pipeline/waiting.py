"""Waiting for a condition, with an end and with what was seen last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.25


class NeverHeldError(AssertionError):
    """A condition did not come to hold in its time."""


def until(
    what: str, condition: Callable[[], T | None], timeout_s: float, seen: Callable[[], object] = str
) -> T:
    """Poll `condition` until it returns something true, and return that; `seen` explains a failure."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise NeverHeldError(f"not within {timeout_s:.0f} s: {what}. {seen()}")
        time.sleep(POLL_S)
    return found
