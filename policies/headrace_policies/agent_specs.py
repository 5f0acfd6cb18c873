"""Specifications of agents' jobs, wherever a program keeps them.

A specification is recognised by its shape, as `headrace_agents.spec` defines it; the pack imports nothing
of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from headrace_policies.nodes import Node
from headrace_policies.stacks import Resource, Stack

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
LOCAL_JOB = "headrace-local:index:AgentJob"
HOLDERS = (CONFIG_MAP, LOCAL_JOB)
SHAPE = ("entry_point", "inputs", "outputs")


def specs_in(resource: Resource) -> Iterator[Node]:
    """Those that a resource holds: in an entry of a ConfigMap as JSON, or as it is.

    Raises:
        Unknown: an entry isn't known yet, so it may hold one.
    """
    if resource.kind == LOCAL_JOB:
        yield resource.at("spec")
    if resource.kind == CONFIG_MAP:
        data = resource.at("data")
        for document in (data.at(key).document for key in data.keys):
            if all(key in document.keys for key in SHAPE):
                yield document


def spec_of(stack: Stack, agent: str) -> Node | None:
    """The specification of the agent with this name."""
    specs = (spec for resource in stack.of(*HOLDERS) for spec in specs_in(resource))
    return next((spec for spec in specs if spec.at("name").text == agent), None)
