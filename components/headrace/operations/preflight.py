"""What must hold before anything is started."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from headrace.environment.problem import DeclarationError, Problem
from headrace.errors import HeadraceError
from headrace.local.ports import refuse_taken_ports
from headrace.operations.stack import Stack
from headrace.plan.model import Ports
from headrace_agents.flink.preflight import REFUSALS, SPECS, Refusal
from headrace_agents.spec import AgentJobSpec

AGENTS_PATIENCE_S = 60
"""For importing all agents' packages; what takes longer does not end."""


def preflight(stack: Stack) -> None:
    """Raise what would make `up` fail half-way: a bad declaration, taken ports, an agent that won't load."""
    refuse_taken_ports(dict(named_ports(stack.plan.ports)), stack.files.root)
    refuse_agents(stack, stack.engine.runtimes.agents_python)


def named_ports(ports: Ports) -> Iterator[tuple[str, int]]:
    for name, value in ports:
        if isinstance(value, tuple):
            yield from ((f"{name}[{i}]", port) for i, port in enumerate(value))
        else:
            yield name, value


def refuse_agents(stack: Stack, python: Path) -> None:
    """Load every agent as its job will, in the agents' interpreter `python`: one start for all of them.

    Raises:
        DeclarationError: an agent's class, package or settings are not what its declaration says.
        HeadraceError: an agent's package ends or holds up the interpreter that imports it.
    """
    specs = tuple(agent.spec for agent in stack.plan.agents)
    refused = _checked(python, specs)
    if refused:
        problems = tuple(_problem(refusal, specs[refusal.index]) for refusal in refused)
        raise DeclarationError(str(stack.declaration), problems)


def _checked(python: Path, specs: tuple[AgentJobSpec, ...]) -> tuple[Refusal, ...]:
    # Isolated: what lies in the current folder or in PYTHONPATH is not there for the job either.
    command = [str(python), "-I", "-m", "headrace_agents.flink.preflight"]
    names = ", ".join(spec.name for spec in specs)
    try:
        done = subprocess.run(
            command,
            input=SPECS.dump_json(specs),
            capture_output=True,
            timeout=AGENTS_PATIENCE_S,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise HeadraceError(
            f"importing the packages of agents {names} takes over {AGENTS_PATIENCE_S} s; nothing was changed"
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
    if refusal.field == "settings":
        given, allowed = json.dumps(spec.settings), "what the agent's class takes"
    else:
        given, allowed = spec.entry_point, "an agent's class that loads and fits its declaration"
    return Problem(path, given, f"{allowed} ({refusal.reason})")
