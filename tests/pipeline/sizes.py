"""How much a run does: `HEADRACE_TEST_SIZE=full` for what an issue is closed with, else the small sizes."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The same tests, other numbers."""

    transactions_per_second: float
    """Of the load that runs while something is killed."""
    kill_rounds: int
    """How often each process is killed."""
    interruptions: int
    """Moments at which `up` is killed."""


SMALL = Sizes(transactions_per_second=15, kill_rounds=1, interruptions=3)
FULL = Sizes(transactions_per_second=40, kill_rounds=3, interruptions=10)

IS_FULL = os.environ.get("HEADRACE_TEST_SIZE") == "full"
SIZES = FULL if IS_FULL else SMALL
