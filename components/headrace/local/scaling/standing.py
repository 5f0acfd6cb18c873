"""How scaling stands: a file of the stack, written at every look and shown by `headrace status`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from headrace.local.scaling.decision import Cause


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rescale(_Record):
    """One change of an agent's parallelism."""

    at: datetime
    before: int
    after: int
    reason: str
    gap_s: float | None
    """In which no event was worked on, as the tasks were started again; None: it was not over yet."""
    repeated_calls: int
    """Of the model, under way when the tasks ended: they are made again, with the same idempotency keys."""


class Standing(_Record):
    """One agent's."""

    agent: str
    at: datetime
    parallelism: int
    least: int
    most: int
    cause: Cause
    reason: str
    backlog: int
    calls_in_flight: int
    concurrency_limit: int
    calls_most: int
    last: Rescale | None


class Standings(_Record):
    agents: tuple[Standing, ...] = ()

    def of(self, agent: str) -> Standing | None:
        return next((each for each in self.agents if each.agent == agent), None)


def write(path: Path, standings: Standings) -> None:
    """As a whole: a reader sees the one before or this one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(standings.model_dump_json(indent=2))
    partial.replace(path)


def read(path: Path) -> Standings:
    """None of any agent where nothing was written yet, or by another version."""
    try:
        return Standings.model_validate_json(path.read_text())
    except (FileNotFoundError, ValueError):
        return Standings()
