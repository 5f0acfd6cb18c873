"""A new version proved on a snapshot of the old one's state, in a run of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.errors import HeadraceError
from headrace.local.agent_jobs.inputs import AgentJobInputs


class Refused(HeadraceError):
    """The new version can't read the state that there is."""

    def __init__(self, message: str, report: dict[str, Any]) -> None:
        super().__init__(message)
        self.report = report


Prove = Callable[[AgentJobInputs, str], dict[str, Any]]
"""Returns the report on a snapshot, whose path is given.

Raises Refused, and HeadraceError where the proof can't be made.
"""


def prove(inputs: AgentJobInputs, snapshot: str) -> dict[str, Any]:
    return {}
