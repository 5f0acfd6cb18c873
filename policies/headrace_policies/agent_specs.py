"""Specifications of agents' jobs, wherever a program keeps them.

A specification is recognised by its shape, as `headrace_agents.spec` defines it; the pack imports nothing
of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from headrace_policies.checkpoint_paths import FLINK_DEPLOYMENT
from headrace_policies.nodes import Node
from headrace_policies.stacks import Resource, Stack

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
LOCAL_JOB = "headrace-local:index:AgentJob"
HOLDERS = (CONFIG_MAP, FLINK_DEPLOYMENT, LOCAL_JOB)
ANNOTATED = (
    ("metadata",),
    ("spec", "podTemplate", "metadata"),
    ("spec", "jobManager", "podTemplate", "metadata"),
)
"""Where a deployment's annotations are: its own, and those of its pods."""
SHAPE = ("entry_point", "inputs", "outputs")


def specs_in(resource: Resource) -> Iterator[Node]:
    """Those that a resource holds: as JSON in an entry of a ConfigMap or in an annotation, or as it is.

    Raises:
        Unknown: an entry isn't known yet, so it may hold one.
    """
    if resource.kind == LOCAL_JOB:
        yield resource.at("spec")
    for texts in _texts(resource):
        for document in (texts.at(key).document for key in texts.keys):
            if all(key in document.keys for key in SHAPE):
                yield document


def _texts(resource: Resource) -> list[Node]:
    if resource.kind == CONFIG_MAP:
        return [resource.at("data")]
    if resource.kind == FLINK_DEPLOYMENT:
        return [resource.at(*path, "annotations") for path in ANNOTATED]
    return []


def spec_of(stack: Stack, agent: str) -> Node | None:
    """The specification of the agent with this name."""
    specs = (spec for resource in stack.of(*HOLDERS) for spec in specs_in(resource))
    return next((spec for spec in specs if spec.at("name").text == agent), None)
