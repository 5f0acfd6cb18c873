"""What must hold before anything is started."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.agents_fit import look_at_agents
from headrace.local.ports import refuse_taken_ports
from headrace.operations.stack import Stack
from headrace.plan.model import Ports


def preflight(stack: Stack) -> list[str]:
    """Raise what would make `up` fail half-way: a bad declaration, taken ports, an agent that does not fit.

    Returns:
        Warnings, a line each.
    """
    refuse_taken_ports(dict(named_ports(stack.plan.ports)), stack.files.root)
    return look_at_agents(stack.plan, str(stack.declaration), stack.engine.runtimes.agents_python).warnings


def named_ports(ports: Ports) -> Iterator[tuple[str, int]]:
    for name, value in ports:
        if isinstance(value, tuple):
            yield from ((f"{name}[{i}]", port) for i, port in enumerate(value))
        else:
            yield name, value
