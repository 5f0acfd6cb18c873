"""What agents' runs did, from the topic that they are told in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from headrace.errors import HeadraceError
from headrace.local.topics import read_topic
from headrace_agents.records import Position
from headrace_agents.run_log import RunLog, StepLog, run_id
from headrace_agents.spec import AgentJobSpec

_EVENT = re.compile(r"(?P<topic>.+)/(?P<partition>\d+)@(?P<offset>\d+)")
_ID = re.compile(r"[0-9a-f]{4,32}")


@dataclass
class Node:
    """A step, and those that were made within it."""

    step: StepLog
    within: list[Node] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Without those that it is in."""
        return self.step.name.rpartition("/")[2]


def runs(spec: AgentJobSpec, since_ms: int | None = None) -> Iterator[RunLog]:
    """Those that are kept. Raises HeadraceError when Kafka does not answer, or none are declared to be."""
    if spec.runtime.run_log == "none":
        raise HeadraceError(
            f"agent {spec.name} keeps no log of its runs: declare `run_log: steps` of it, then `headrace up`"
        )
    for record in read_topic(spec.kafka, spec.outputs.runs, since_ms):
        yield RunLog.model_validate_json(record.value or b"")


def matching(found: Iterable[RunLog], *, failed: bool, slower_than_ms: int | None) -> list[RunLog]:
    """By the time of their start."""
    return sorted(
        (
            run
            for run in found
            if (not failed or run.status != "decided")
            and (slower_than_ms is None or duration_ms(run) > slower_than_ms)
        ),
        key=lambda run: run.started_at_ms,
    )


def one(spec: AgentJobSpec, wanted: str) -> RunLog:
    """A run by the beginning of its id, or by its event: ``TOPIC/PARTITION@OFFSET``.

    Raises HeadraceError for what is neither, for an unknown run, and where several begin so.
    """
    event = _EVENT.fullmatch(wanted)
    if event is not None:
        wanted = run_id(spec.name, Position(event["topic"], int(event["partition"]), int(event["offset"])))
    elif not _ID.fullmatch(wanted):
        raise HeadraceError(
            f"run: given {wanted}; allowed: 4 or more digits of its id, TOPIC/PARTITION@OFFSET"
        )
    found = {run.id: run for run in runs(spec) if run.id.startswith(wanted)}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise HeadraceError(f"run: {len(found)} ids begin with {wanted}; give more of it")
    raise HeadraceError(f"agent {spec.name} has no such run; `headrace trace {spec.name}` lists those it has")


def tree(steps: Sequence[StepLog]) -> list[Node]:
    """Steps below the ones that they were made in, by the time of their start."""
    nodes = {step.name: Node(step) for step in steps}
    roots: list[Node] = []
    for step in sorted(steps, key=lambda step: step.started_at_ms):
        parent = nodes.get(step.name.rpartition("/")[0])
        (roots if parent is None else parent.within).append(nodes[step.name])
    return roots


def duration_ms(run: RunLog | StepLog) -> int:
    return run.finished_at_ms - run.started_at_ms
