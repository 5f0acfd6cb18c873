"""What can be checked of a specification before Flink is asked; imports nothing of it.

``python -m headrace_agents.flink.preflight`` checks many: a JSON array of specifications on standard
input, a JSON array of :class:`Refusal` on standard output, empty where all is well.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from headrace_agents.agent import AgentError, SettingsError, load
from headrace_agents.spec import AgentJobSpec


class JobError(Exception):
    """The job can't be made as specified; nothing was submitted."""


class Refusal(BaseModel):
    """Why an agent's job would not start."""

    index: int
    """Of the specification, from 0."""
    field: Literal["entry_point", "settings"]
    """What is wrong of it, or does not fit the rest of it."""
    reason: str


SPECS = TypeAdapter(tuple[AgentJobSpec, ...])
REFUSALS = TypeAdapter(tuple[Refusal, ...])


def read_spec(path: Path) -> AgentJobSpec:
    """Raises JobError for what can be seen without Flink, AgentError if the agent's class is wrong."""
    try:
        spec = AgentJobSpec.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise JobError(str(error)) from error
    check(spec)
    return spec


def check(spec: AgentJobSpec) -> None:
    """Raises as :func:`read_spec` does."""
    agent = load(spec.entry_point, spec.settings)
    package = spec.entry_point.partition(":")[0].partition(".")[0]
    if not hasattr(sys.modules[package], "__path__"):
        raise JobError(f"{package} is a single module; an agent's code is a package")
    unknown = sorted(agent.tables - {topic.table for topic in spec.inputs})
    if unknown:
        raise JobError(f"{spec.entry_point} handles {', '.join(unknown)}, which no input topic carries")
    topics = [topic.topic for topic in spec.inputs]
    if len(set(topics)) < len(topics):
        raise JobError(f"inputs: a topic is there twice: {', '.join(topics)}")
    if spec.limits.inbox_soft_events >= spec.limits.inbox_hard_events:
        raise JobError("limits: inbox_soft_events must be below inbox_hard_events")
    if spec.parallelism > spec.max_parallelism:
        raise JobError(f"parallelism {spec.parallelism} is above max_parallelism {spec.max_parallelism}")


def refusals(specs: tuple[AgentJobSpec, ...]) -> Iterator[Refusal]:
    """One for each specification that :func:`check` refuses."""
    for index, spec in enumerate(specs):
        try:
            check(spec)
        except SettingsError as error:
            yield Refusal(index=index, field="settings", reason=str(error))
        except (JobError, AgentError) as error:
            yield Refusal(index=index, field="entry_point", reason=str(error))


def main() -> None:
    specs = SPECS.validate_json(sys.stdin.buffer.read())
    with redirect_stdout(sys.stderr):  # agents' modules may print
        found = tuple(refusals(specs))
    sys.stdout.buffer.write(REFUSALS.dump_json(found))


if __name__ == "__main__":
    main()
