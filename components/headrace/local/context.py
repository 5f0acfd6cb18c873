"""What every component of a local stack needs to know."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from headrace.local.files import StackFiles
from headrace.local.provider.process import ProcessInputs
from headrace.local.resources import ProcessResource
from headrace.plan.model import StackPlan
from headrace.toolchain.runtimes import Runtimes

HOST = "127.0.0.1"


@dataclass(frozen=True)
class LocalContext:
    plan: StackPlan
    files: StackFiles
    runtimes: Runtimes

    @property
    def root(self) -> str:
        return str(self.files.root)

    @property
    def bootstrap_servers(self) -> str:
        return f"{HOST}:{self.plan.ports.kafka}"

    @property
    def offsets_topic(self) -> str:
        """In which Kafka Connect stores where its connectors are."""
        return self.plan.connect.settings["offset.storage.topic"]

    @property
    def object_store_endpoint(self) -> str:
        return f"http://{HOST}:{self.plan.ports.object_store}"

    @property
    def flink_endpoint(self) -> str:
        return f"http://{HOST}:{self.plan.ports.flink_rest}"

    @property
    def connect_endpoint(self) -> str:
        return f"http://{HOST}:{self.plan.ports.connect}"

    @property
    def scripted_model_endpoint(self) -> str:
        return f"http://{HOST}:{self.plan.ports.scripted_model}/v1"


def process(
    inputs: ProcessInputs, parent: pulumi.Resource, depends_on: list[pulumi.Resource] | None = None
) -> ProcessResource:
    """A supervised process as a child of its component."""
    opts = pulumi.ResourceOptions(parent=parent, depends_on=depends_on or [])
    return ProcessResource(inputs.name, inputs, opts)
