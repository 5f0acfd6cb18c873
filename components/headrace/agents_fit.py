"""Agents' classes against the declaration, before anything is made: they load, and can read their tables.

What was found stands beside the agents' environment, with the manifests: as long as it fits the code and the
declaration, nobody has to start an interpreter and import all packages again.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from headrace.environment.engines import ENGINES
from headrace.environment.problem import DeclarationError, Problem
from headrace.errors import HeadraceError
from headrace.plan.model import CommonPlan, SourcePlan
from headrace_agents.code import RUNTIME_PACKAGE, NoPackageError, code_digest, package_of
from headrace_agents.flink.preflight import ASKED, Asked, Found, Refusal
from headrace_agents.manifest import Manifest
from headrace_agents.spec import AgentJobSpec

UNKNOWN = ""
"""A column's type of which agents' rows know no value: it is taken to fit."""
PATIENCE_S = 60
"""For importing all agents' packages; what takes longer does not end."""
MANIFESTS = "headrace-manifests"
"""Folder in the agents' environment."""


class Kept(BaseModel):
    """What stands beside the agents' environment of one agent that fits its declaration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: str
    """Digest of what was asked: another declaration is looked at anew."""
    warnings: tuple[str, ...]
    manifest: Manifest


@dataclass(frozen=True)
class Fit:
    """Agents that fit their declaration."""

    warnings: list[str]
    """Columns that an agent would use and that are not declared."""
    manifests: Mapping[str, Manifest]
    """By entry point."""


def fitting(plan: CommonPlan, declaration: str, python: Path) -> Fit:
    """What is known of the agents, as their code and their declaration are now; where that is not known, they
    are looked at.

    Raises as :func:`look_at_agents` does.
    """
    kept = [_kept(python, _asked(agent.spec, plan.sources)) for agent in plan.agents]
    known = [each for each in kept if each is not None]
    if len(known) < len(kept):
        return look_at_agents(plan, declaration, python)
    return Fit(
        [*(warning for each in known for warning in each.warnings), *_not_compared(plan.sources)],
        {each.manifest.entry_point: each.manifest for each in known},
    )


def look_at_agents(
    plan: CommonPlan, declaration: str, python: Path, *, may_be_elsewhere: bool = False
) -> Fit:
    """Load every agent as its job will, in the agents' interpreter `python`: one start for all of them.

    Of agents that `may_be_elsewhere`, in an image that was built of other code, one that does not load is
    not looked at.

    Raises:
        DeclarationError: an agent's class, package or settings are not what its declaration says, or a
            handler can't read the rows of its table with the columns that are declared.
        HeadraceError: an agent's package ends or holds up the interpreter that imports it.
    """
    asked = tuple(_asked(agent.spec, plan.sources) for agent in plan.agents)
    looked = _checked(python, asked)
    found = [each for each in looked.refusals if each.field == "inputs" or not may_be_elsewhere]
    if refused := [each for each in found if each.severity == "error"]:
        problems = tuple(_problem(refusal, asked[refusal.index].spec) for refusal in refused)
        raise DeclarationError(declaration, problems)
    warnings: list[list[str]] = [[] for _ in asked]
    for each in found:
        warnings[each.index].append(f"agent {asked[each.index].spec.name}: {each.reason}")
    manifests = looked.manifests.agents
    for at, each_asked in enumerate(asked):
        if manifest := manifests.get(each_asked.spec.entry_point):
            _keep(
                python,
                each_asked,
                Kept(asked=_digest(each_asked), warnings=tuple(warnings[at]), manifest=manifest),
            )
    said = [line for lines in warnings for line in lines]
    return Fit([*said, *_not_compared(plan.sources)], manifests)


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


def _kept(python: Path, asked: Asked) -> Kept | None:
    try:
        kept = Kept.model_validate_json(_file(python, asked.spec).read_bytes())
        code = code_digest(RUNTIME_PACKAGE, package_of(asked.spec.entry_point))
    except (OSError, ValidationError, NoPackageError):
        return None
    return kept if (kept.asked, kept.manifest.code) == (_digest(asked), code) else None


def _keep(python: Path, asked: Asked, kept: Kept) -> None:
    """Where nothing can be written, the next who asks looks for himself."""
    file = _file(python, asked.spec)
    with suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(kept.model_dump_json())
        Path(scratch).replace(file)


def _file(python: Path, spec: AgentJobSpec) -> Path:
    """Of the agent, in the environment that `python` is the interpreter of."""
    return python.parents[1] / MANIFESTS / f"{spec.entry_point.replace(':', '.')}.json"


def _digest(asked: Asked) -> str:
    return hashlib.sha256(asked.model_dump_json().encode()).hexdigest()


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


def _checked(python: Path, asked: tuple[Asked, ...]) -> Found:
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
    return Found.model_validate_json(done.stdout)


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
