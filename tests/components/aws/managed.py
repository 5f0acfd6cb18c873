"""Whole environments on AWS: those that are shipped, and others, as Pulumi's mocks record them."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from headrace.aws import Foundation, ManagedStack, ManagedStackArgs
from headrace.environment import Environment, load_environment
from headrace.plan import AwsPlan
from headrace.plan.aws import aws_plan
from tests.components.aws.cloud import EXISTING_CLUSTER, FOUNDATION, Cloud, built
from tests.components.recording import Registered, registered
from tests.unit.environment.declarations import REPOSITORY

ENVIRONMENTS = ("dev", "prod")


def write_plugin(archive: Path) -> Path:
    archive.write_bytes(b"a plugin")
    return archive


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def shipped(environment: str) -> Environment:
    """The declaration of ``dev`` or ``prod``, as it stands in `stacks/`."""
    return load_environment(REPOSITORY / "stacks" / f"Pulumi.{environment}.yaml")


def managed(
    environment: Environment,
    *,
    preview: bool = False,
    foundation: Mapping[str, Any] | None = FOUNDATION,
    cluster: Mapping[str, Any] = EXISTING_CLUSTER,
) -> Registered:
    """What the environment's own stack registers, with a plugin that is written here."""
    with tempfile.TemporaryDirectory() as folder:
        plan = with_plugin(aws_plan(environment), Path(folder))
        args = ManagedStackArgs(plan=plan, project=Path(folder))
        name = environment.name
        return registered(lambda: ManagedStack(name, args), Cloud(foundation, cluster), preview=preview)


def with_plugin(plan: AwsPlan, folder: Path) -> AwsPlan:
    """The plan with a plugin that is there: what is shipped names none that could be."""
    there = {"sha256": sha256(write_plugin(folder / plan.connect.plugin.archive))}
    plugin = plan.connect.plugin.model_copy(update=there)
    return plan.model_copy(update={"connect": plan.connect.model_copy(update={"plugin": plugin})})


EXISTING: dict[str, dict[str, Any]] = {
    "cluster": {"existing": "shared"},
    "network": {
        "vpc_id": "vpc-1234567890abcdef0",
        "private_subnet_ids": [f"subnet-{at:017x}" for at in range(3)],
    },
}
"""Of a declaration: in a network and a cluster that are there."""


@cache
def stack_of(environment: str) -> Registered:
    """The stack of a shipped environment."""
    return managed(shipped(environment))


@cache
def foundation_of(environment: str) -> Registered:
    plan = aws_plan(shipped(environment))
    return built(lambda: Foundation(environment, plan))


@cache
def recorded(environment: str) -> Registered:
    """Everything of a shipped environment, on the foundation that it has where it has one."""
    declared = shipped(environment)
    if declared.aws.endpoint.access == "public":
        return stack_of(environment)
    foundation = foundation_of(environment)
    left = foundation[f"aws:ssm/parameter:Parameter {environment}-foundation"]["inputs"]["insecureValue"]
    return managed(declared, foundation=json.loads(left)) | foundation
