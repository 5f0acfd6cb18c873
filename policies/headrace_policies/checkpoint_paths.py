"""Where Flink jobs of a stack keep their state: the places that other rules have to leave alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headrace_policies.nodes import Node
from headrace_policies.stacks import Resource, Stack

FLINK_DEPLOYMENT = "kubernetes:flink.apache.org/v1beta1:FlinkDeployment"
CHECKPOINTS = ("execution.checkpointing.dir", "state.checkpoints.dir")
"""Today's name of the option, and the one before Flink 2."""
SAVEPOINTS = ("execution.checkpointing.savepoint-dir", "state.savepoints.dir")
HA_STORAGE = ("high-availability.storageDir",)


@dataclass(frozen=True)
class Location:
    """Objects of `bucket` whose keys start with `prefix`, as an option of a deployment names them."""

    deployment: str
    option: str
    bucket: str
    prefix: str


def option(deployment: Resource, *names: str) -> Node:
    """A Flink option by the first of its names that is set, else by its first name."""
    configuration = deployment.at("spec", "flinkConfiguration")
    nodes = [configuration.at(name) for name in names]
    return next((node for node in nodes if node.is_unknown or node.is_set), nodes[0])


def locations(stack: Stack) -> Iterator[Location]:
    """Of every Flink deployment: checkpoints, savepoints and what high availability needs.

    Raises:
        Unknown: an option isn't known yet.
    """
    for deployment in stack.of(FLINK_DEPLOYMENT):
        for names in (CHECKPOINTS, SAVEPOINTS, HA_STORAGE):
            node = option(deployment, *names)
            if node.is_set:
                bucket, prefix = split(node.text)
                yield Location(deployment.name, node.path, bucket, prefix)


def split(uri: str) -> tuple[str, str]:
    """``s3://bucket/a/b`` -> bucket, ``a/b/``."""
    bucket, _, prefix = uri.partition("://")[2].partition("/")
    return bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""
