"""Scaling: the process that changes agents' parallelism within their bounds."""

from __future__ import annotations

import sys

import pulumi

from headrace.local.context import LocalContext, process
from headrace.local.provider.process import ProcessInputs
from headrace.local.scaling.orders import orders

NAME = "scaling"


class Scaling(pulumi.ComponentResource):
    """Beside Flink; it waits by itself for what it talks to."""

    def __init__(self, context: LocalContext, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:local:Scaling", NAME, None, opts)
        told = orders(context.plan, context.root, context.flink_endpoint)
        config = context.files.etc(NAME) / "orders.json"
        self.process = process(
            ProcessInputs(
                root=context.root,
                name=NAME,
                command=(sys.executable, "-m", "headrace.local.scaling", str(config)),
                files={config.name: told.model_dump_json(indent=2)},
            ),
            parent=self,
        )
        self.register_outputs({})
