"""Recorded events through two versions of an agent, side by side, with nothing written by either."""

from __future__ import annotations

import heapq
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import quantiles
from typing import Any

from headrace.errors import HeadraceError
from headrace.local.topics import read_topic
from headrace_agents.model.amounts import PICODOLLARS_PER_DOLLAR
from headrace_agents.records import InputRecord, Position
from headrace_agents.rehearsal_job import Event, Job, Rehearsed
from headrace_agents.spec import AgentJobSpec

PROGRAM = "headrace_agents.rehearsal"


@dataclass(frozen=True)
class Version:
    """One version of an agent; ``code`` is a folder with its packages, None for this checkout's."""

    spec: AgentJobSpec
    patch: Mapping[str, Any]
    code: Path | None = None


@dataclass(frozen=True)
class Totals:
    """Of one version, over all events."""

    decided: int
    dead_lettered: int
    cut_off: int
    calls: int
    tokens: int
    usd: float
    p50_ms: float | None
    """Of runs that called the model; None where none did."""
    p99_ms: float | None


@dataclass(frozen=True)
class Difference:
    """An event that the versions decide differently."""

    now: Rehearsed
    new: Rehearsed

    def as_json(self) -> dict[str, Any]:
        return {
            "event": self.now.position._asdict(),
            "now": self.now.model_dump(mode="json", include={"status", "detail", "decisions"}),
            "new": self.new.model_dump(mode="json", include={"status", "detail", "decisions"}),
        }


@dataclass(frozen=True)
class Comparison:
    events: int
    same: int
    differences: tuple[Difference, ...]
    """In the order of the events; those that are cut off in either version are none."""
    now: Totals
    new: Totals
    cut_off_at: tuple[str, ...]
    """Steps and tools at which runs were cut off."""


def recorded(spec: AgentJobSpec, topics: Sequence[str], since_ms: int, limit: int) -> tuple[Event, ...]:
    """The newest events of the agent's topics since then, that many, by time.

    Raises HeadraceError for a topic that is none of the agent's, and where there are no events.
    """
    own = [given.topic for given in spec.inputs]
    if unknown := [topic for topic in topics if topic not in own]:
        raise HeadraceError(f"--from: given {', '.join(unknown)}; allowed: {', '.join(own)}")
    # Of a day there may be more than fits memory: no more are held than are wanted.
    newest = heapq.nlargest(
        limit,
        (kept for topic in topics or own for kept in read_topic(spec.kafka, topic, since_ms)),
        key=lambda kept: (kept.timestamp_ms, kept.position),
    )
    if not newest:
        raise HeadraceError(f"{', '.join(topics or own)}: no events since then; --last says how far to look")
    return tuple(
        Event.of(InputRecord(kept.position, kept.timestamp_ms, kept.key, kept.value))
        for kept in reversed(newest)
    )


def rehearsed(
    python: Path, version: Version, events: tuple[Event, ...], *, run_tools: bool, heard: Callable[[], None]
) -> dict[Position, Rehearsed]:
    """What became of each event. Raises HeadraceError with what the agent said where it can't be."""
    job = Job(spec=version.spec, patch=dict(version.patch), run_tools=run_tools, events=events)
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        # Events are customers' data: the folder is this user's alone.
        path = Path(folder) / "job.json"
        path.write_text(job.model_dump_json(), encoding="utf-8")
        found: dict[Position, Rehearsed] = {}
        for one in _lines(python, version.code, path, Path(folder) / "errors"):
            found[one.position] = one
            heard()
    return found


def compare(now: Mapping[Position, Rehearsed], new: Mapping[Position, Rehearsed]) -> Comparison:
    """Of the same events."""
    pairs = [Difference(now[position], new[position]) for position in now]
    whole = [pair for pair in pairs if "cut_off" not in (pair.now.status, pair.new.status)]
    different = tuple(pair for pair in whole if _said(pair.now) != _said(pair.new))
    cut = {one.detail for pair in pairs for one in (pair.now, pair.new) if one.status == "cut_off"}
    return Comparison(
        len(pairs),
        len(whole) - len(different),
        different,
        _totals(list(now.values())),
        _totals(list(new.values())),
        tuple(sorted(cut)),
    )


def _said(one: Rehearsed) -> tuple[object, ...]:
    # Why something is a dead letter may hold times and ids; that it is one is what counts.
    return one.status, one.decisions


def _totals(found: Sequence[Rehearsed]) -> Totals:
    took = sorted(one.ms for one in found if one.calls)
    cuts = quantiles(took, n=100, method="inclusive") if len(took) > 1 else took * 99
    return Totals(
        decided=sum(one.status == "decided" for one in found),
        dead_lettered=sum(one.status == "dead_lettered" for one in found),
        cut_off=sum(one.status == "cut_off" for one in found),
        calls=sum(one.calls for one in found),
        tokens=sum(one.tokens for one in found),
        usd=sum(one.picodollars for one in found) / PICODOLLARS_PER_DOLLAR,
        p50_ms=cuts[49] if cuts else None,
        p99_ms=cuts[98] if cuts else None,
    )


def _lines(python: Path, code: Path | None, job: Path, errors: Path) -> Iterator[Rehearsed]:
    environment = {**os.environ, **({} if code is None else {"PYTHONPATH": str(code.resolve())})}
    command = [str(python), "-m", PROGRAM, "--job", str(job)]
    with (
        errors.open("w+", encoding="utf-8") as told,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, env=environment) as process,
    ):
        try:
            for line in process.stdout or ():
                yield Rehearsed.model_validate_json(line)
        finally:
            if process.poll() is None:
                process.terminate()
        if process.wait() != 0:
            last = list(islice(reversed(errors.read_text(encoding="utf-8").splitlines()), 20))
            raise HeadraceError("the rehearsal ended:\n" + "\n".join(reversed(last)))
