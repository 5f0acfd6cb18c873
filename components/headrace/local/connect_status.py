"""What Kafka Connect says of a connector and its tasks, as its REST interface has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RUNNING, FAILED = "RUNNING", "FAILED"

Status = Mapping[str, Any]
"""``connector``, and ``tasks`` as a list; each has a ``state``, and a ``trace`` where it failed."""


def parts(status: Status) -> list[Mapping[str, Any]]:
    """The connector, then its tasks."""
    return [status["connector"], *status["tasks"]]


def states(status: Status) -> list[str]:
    return [str(part["state"]) for part in parts(status)]


def runs(status: Status) -> bool:
    """The connector and its tasks, of which there is one at least."""
    found = states(status)
    return len(found) > 1 and set(found) == {RUNNING}


def has_failed(status: Status) -> bool:
    return FAILED in states(status)
