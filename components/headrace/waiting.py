"""Waiting for conditions, with an end and with a way to be interrupted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from headrace.errors import HeadraceError

T = TypeVar("T")

POLL_SECONDS = 0.2

cancelled = threading.Event()
"""Set when the engine asks the provider to stop: every wait ends at once."""


class WaitEnded(HeadraceError):
    """A condition did not come true in its time."""


class WaitCancelled(HeadraceError):
    """The engine asked the provider to stop."""


def wait_until(what: str, condition: Callable[[], T | None], timeout_s: float, hint: str = "") -> T:
    """Poll `condition` until it returns something true, and return that.

    Exceptions of `condition` end the wait: it says itself which ones mean "not yet".
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found:
            return found
        if cancelled.is_set():
            raise WaitCancelled(f"cancelled while waiting for {what}")
        if time.monotonic() >= deadline:
            raise WaitEnded(f"{what}: not within {timeout_s:.0f} s" + (f"; {hint}" if hint else ""))
        cancelled.wait(POLL_SECONDS)
