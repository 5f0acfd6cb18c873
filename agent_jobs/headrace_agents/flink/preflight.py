"""What can be checked of a specification before Flink is asked; imports nothing of it.

``python -m headrace_agents.flink.preflight`` checks many: a JSON array of :class:`Asked` on standard input,
a :class:`Found` as JSON on standard output.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from headrace_agents.agent import AgentError, LoadedAgent, SettingsError, load
from headrace_agents.code import package_of
from headrace_agents.describing import manifests_of
from headrace_agents.manifest import Manifests
from headrace_agents.rows import misfits, unfilled
from headrace_agents.spec import AgentJobSpec


class JobError(Exception):
    """The job can't be made as specified; nothing was submitted."""


class Asked(BaseModel):
    """An agent's specification, and what the declaration says of the tables that it reads."""

    spec: AgentJobSpec
    columns: dict[str, dict[str, str]]
    """By ``schema.table``: name -> PostgreSQL's type. Tables whose columns are not declared are not there."""


class Refusal(BaseModel):
    """Why an agent's job would not start, or would decide nothing of what it reads."""

    index: int
    """Of the specification, from 0."""
    severity: Literal["error", "warning"] = "error"
    """A warning: it starts, and some of what it is written for is never there."""
    field: Literal["entry_point", "settings", "inputs"]
    """What is wrong of it, or does not fit the rest of it."""
    reason: str


class Found(BaseModel):
    """What came of looking at agents."""

    refusals: tuple[Refusal, ...]
    """Empty where all is well."""
    manifests: Manifests
    """Of those that load."""


ASKED = TypeAdapter(tuple[Asked, ...])


def read_spec(path: Path) -> AgentJobSpec:
    """Raises JobError for what can be seen without Flink, AgentError if the agent's class is wrong."""
    try:
        spec = AgentJobSpec.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise JobError(str(error)) from error
    check(spec)
    return spec


def check(spec: AgentJobSpec) -> LoadedAgent:
    """The agent, loaded. Raises as :func:`read_spec` does."""
    agent = load(spec.entry_point, spec.settings)
    package = package_of(spec.entry_point)
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
    return agent


def refusals(asked: tuple[Asked, ...]) -> Iterator[Refusal]:
    """One for each specification that :func:`check` refuses or whose agent can't read its tables' rows."""
    for index, each in enumerate(asked):
        try:
            agent = check(each.spec)
        except SettingsError as error:
            yield Refusal(index=index, field="settings", reason=str(error))
        except (JobError, AgentError) as error:
            yield Refusal(index=index, field="entry_point", reason=str(error))
        else:
            for severity, found in columns_of(agent, each.columns):
                yield Refusal(index=index, severity=severity, field="inputs", reason=found)


def columns_of(
    agent: LoadedAgent, columns: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[Literal["error", "warning"], str]]:
    """What handlers can't read of the tables' rows, and what they wait for in vain."""
    models = {(table, handler.payload_type) for (table, _), handler in agent.changes.items()}
    for table, model in sorted(models, key=lambda each: (each[0], each[1].__name__)):
        if table not in columns:
            continue
        for misfit in misfits(model, columns[table]):
            yield "error", f"{table} has {misfit}"
        if missing := unfilled(model, columns[table]):
            yield (
                "warning",
                f"{table} has no column {', '.join(missing)}: {model.__name__} has defaults there",
            )


def main() -> None:
    asked = ASKED.validate_json(sys.stdin.buffer.read())
    with redirect_stdout(sys.stderr):  # agents' modules may print
        refused = tuple(refusals(asked))
        not_loaded = {each.index for each in refused if each.severity == "error"}
        loaded = {each.spec.entry_point for at, each in enumerate(asked) if at not in not_loaded}
        found = Found(refusals=refused, manifests=manifests_of(sorted(loaded)))
    sys.stdout.buffer.write(found.model_dump_json().encode())


if __name__ == "__main__":
    main()
