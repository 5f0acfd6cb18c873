"""Agents' classes against the declaration, before anything is made: they load, and can read their tables."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from headrace.environment.engines import ENGINES
from headrace.environment.problem import DeclarationError, Problem
from headrace.errors import HeadraceError
from headrace.plan.model import CommonPlan, SourcePlan
from headrace_agents.flink.preflight import ASKED, REFUSALS, Asked, Refusal
from headrace_agents.spec import AgentJobSpec

UNKNOWN = ""
"""A column's type of which agents' rows know no value: it is taken to fit."""
PATIENCE_S = 60
"""For importing all agents' packages; what takes longer does not end."""


def refuse_agents(
    plan: CommonPlan, declaration: str, python: Path, *, may_be_elsewhere: bool = False
) -> list[str]:
    """Load every agent as its job will, in the agents' interpreter `python`: one start for all of them.

    Of agents that `may_be_elsewhere`, in an image that was built of other code, one that does not load is
    not looked at.

    Returns:
        Warnings: columns that an agent would use and that are not declared, and those whose types could not
        be compared.

    Raises:
        DeclarationError: an agent's class, package or settings are not what its declaration says, or a
            handler can't read the rows of its table with the columns that are declared.
        HeadraceError: an agent's package ends or holds up the interpreter that imports it.
    """
    asked = tuple(_asked(agent.spec, plan.sources) for agent in plan.agents)
    found = [each for each in _checked(python, asked) if each.field == "inputs" or not may_be_elsewhere]
    if refused := [each for each in found if each.severity == "error"]:
        problems = tuple(_problem(refusal, asked[refusal.index].spec) for refusal in refused)
        raise DeclarationError(declaration, problems)
    warnings = [f"agent {asked[warning.index].spec.name}: {warning.reason}" for warning in found]
    return [*warnings, *_not_compared(plan.sources)]


def _not_compared(sources: Iterable[SourcePlan]) -> Iterator[str]:
    for source in sources:
        tables = [table.name for table in source.tables if table.columns]
        if tables and not _types_are_known(source):
            yield (
                f"source {source.name}: agents are checked against the names of the columns of"
                f" {', '.join(tables)}, not against their types: they are {ENGINES[source.engine].title}'s"
            )


def _types_are_known(source: SourcePlan) -> bool:
    return source.engine == "postgresql"


def _asked(spec: AgentJobSpec, sources: Iterable[SourcePlan]) -> Asked:
    topics = {each.topic for each in spec.inputs}
    return Asked(
        spec=spec,
        columns={
            table.name: {
                column.name: column.type if _types_are_known(source) else UNKNOWN for column in table.columns
            }
            for source in sources
            for table in source.tables
            if table.topic in topics and table.columns
        },
    )


def _checked(python: Path, asked: tuple[Asked, ...]) -> tuple[Refusal, ...]:
    # Isolated: what lies in the current folder or in PYTHONPATH is not there for the job either.
    command = [str(python), "-I", "-m", "headrace_agents.flink.preflight"]
    names = ", ".join(each.spec.name for each in asked)
    try:
        done = subprocess.run(
            command, input=ASKED.dump_json(asked), capture_output=True, timeout=PATIENCE_S, check=True
        )
    except subprocess.TimeoutExpired:
        raise HeadraceError(
            f"importing the packages of agents {names} takes over {PATIENCE_S} s; nothing was changed"
        ) from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise HeadraceError(
            f"importing the packages of agents {names} ended {python} with {error.returncode}:\n{said}\n"
            "nothing was changed"
        ) from None
    return REFUSALS.validate_json(done.stdout)


def _problem(refusal: Refusal, spec: AgentJobSpec) -> Problem:
    path = ("agents", refusal.index, refusal.field)
    given, allowed = {
        "settings": (json.dumps(spec.settings), "what the agent's class takes"),
        "entry_point": (spec.entry_point, "an agent's class that loads and fits its declaration"),
        "inputs": (
            ", ".join(each.topic for each in spec.inputs),
            f"tables with columns that {spec.entry_point} can read",
        ),
    }[refusal.field]
    return Problem(path, given, f"{allowed} ({refusal.reason})")
