"""What is written down of each upgrade: by it an interrupted one is taken up again, and people look back."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headrace.upgrades.gate import Look
from headrace_agents.upgrades.conduct import Conduct
from headrace_agents.upgrades.told import CaughtUp, Undoing

Phase = Literal["proving", "cutting_over", "watching", "rolling_back", "ended"]
OutcomeOfUpgrade = Literal["upgraded", "refused", "rolled_back", "superseded"]


class Version(BaseModel):
    """One version of an agent: all that its job is made of."""

    model_config = ConfigDict(frozen=True)

    digest: str
    """Of its specification, code included."""
    code: str
    inputs: dict[str, Any]
    """Of the resource that runs it: what a rollback goes back to."""


class Gap(BaseModel):
    """Without a job that runs, and where the time went; seconds."""

    model_config = ConfigDict(frozen=True)

    wind_down_s: float | None = None
    """Before it: until runs in flight had ended. None where they were resumed."""
    stop_s: float
    """From the order to stop until the savepoint is complete and the job has ended."""
    submit_s: float
    """Until Flink has the new job."""
    start_s: float
    """Until all of its tasks run."""
    decisions_s: float | None = None
    """Between the last outcome of the version before and the first of the new one; None where one of them
    had no event. Under a steady load it is what somebody who waits for decisions sees."""

    @property
    def total_s(self) -> float:
        return self.stop_s + self.submit_s + self.start_s


class Cutover(BaseModel):
    model_config = ConfigDict(frozen=True)

    snapshot: str
    """That the new version went on from; what a rollback goes back to."""
    outcomes: dict[int, int]
    """Ends of the partitions of the topic of outcomes: what is behind them the new version decided."""
    runs: dict[int, int]
    """As for ``outcomes``."""
    at_ms: int


class Upgrade(BaseModel):
    """One upgrade of one agent, from its proof to its end. Times in milliseconds since the epoch."""

    id: str
    agent: str
    by: str
    started_at_ms: int
    ended_at_ms: int | None = None
    before: Version
    after: Version
    phase: Phase = "proving"
    proof: dict[str, Any] | None = None
    """The report of the verification."""
    conduct: Conduct = Field(default_factory=Conduct)
    """Of the version before."""
    cutover: Cutover | None = None
    gap: Gap | None = None
    looks: tuple[Look, ...] = ()
    """The gate's first and last."""
    outcome: OutcomeOfUpgrade | None = None
    reason: str = ""
    """Why it was refused or undone."""
    undoing: Undoing | None = None
    caught_up: CaughtUp | None = None


KEPT = 20
"""Upgrades of one agent, the newest."""


class History(ABC):
    """The upgrades of one agent."""

    def write(self, upgrade: Upgrade) -> None:
        """All of it, in one go. With an upgrade's end, what is old goes."""
        self._write(upgrade)
        if upgrade.phase == "ended":
            for old in self.all()[:-KEPT]:
                self._remove(old)

    @abstractmethod
    def _write(self, upgrade: Upgrade) -> None: ...

    @abstractmethod
    def _remove(self, upgrade: Upgrade) -> None:
        """Fine where it is gone."""

    @abstractmethod
    def _documents(self) -> Iterator[bytes | str]:
        """Upgrades as JSON, in any order."""

    def all(self) -> list[Upgrade]:
        """The oldest first; what another version of headrace wrote and this one can't read is left out."""
        return read_upgrades(self._documents())

    def unfinished(self) -> Upgrade | None:
        """The newest, where it has no end: what ran it was interrupted."""
        newest = next(reversed(self.all()), None)
        return newest if newest is not None and newest.phase != "ended" else None


def read_upgrades(documents: Iterable[bytes | str]) -> list[Upgrade]:
    """As :meth:`History.all` does, of whatever agents."""
    return sorted(_read(documents), key=lambda upgrade: (upgrade.started_at_ms, upgrade.id))


def _read(documents: Iterable[bytes | str]) -> Iterator[Upgrade]:
    for document in documents:
        try:
            yield Upgrade.model_validate_json(document)
        except ValidationError:
            continue


class FolderHistory(History):
    """A file for each upgrade, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _write(self, upgrade: Upgrade) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._file(upgrade)
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            file.write(upgrade.model_dump_json(indent=2))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def _remove(self, upgrade: Upgrade) -> None:
        self._file(upgrade).unlink(missing_ok=True)

    def _file(self, upgrade: Upgrade) -> Path:
        return self._folder / f"{upgrade.id}.json"

    def _documents(self) -> Iterator[bytes]:
        for path in self._folder.glob("*.json"):
            with suppress(FileNotFoundError):  # it was old, and went meanwhile
                yield path.read_bytes()


def new_id(agent: str, at_ms: int) -> str:
    """``AGENT-YYYYMMDDTHHMMSS.mmm``, in UTC."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{agent}-{moment:%Y%m%dT%H%M%S}.{at_ms % 1000:03d}"
