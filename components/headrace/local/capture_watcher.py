"""The process that watches how sources are captured, and restarts failed tasks (Connect itself does not)."""

from __future__ import annotations

import sys

import pulumi

from headrace.environment import names
from headrace.local.capture_watch.orders import WatchedSource, WatchOrders
from headrace.local.context import LocalContext, process
from headrace.local.provider.process import ProcessInputs, Readiness
from headrace.local.source_access import password_file

NAME = "capture-watch"


class CaptureWatcher(pulumi.ComponentResource):
    """Beside the worker and the databases; it waits by itself for what it talks to."""

    def __init__(self, context: LocalContext, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:local:CaptureWatcher", NAME, None, opts)
        config, port = context.files.etc(NAME) / "orders.json", context.plan.ports.capture_metrics
        self.process = process(
            ProcessInputs(
                root=context.root,
                name=NAME,
                command=(sys.executable, "-m", "headrace.local.capture_watch", str(config)),
                files={config.name: _orders(context).model_dump_json(indent=2)},
                ports={"capture (metrics)": port},
                ready=Readiness(port=port),
            ),
            parent=self,
        )
        self.register_outputs({})


def _orders(context: LocalContext) -> WatchOrders:
    plan = context.plan
    return WatchOrders(
        connect_endpoint=context.connect_endpoint,
        bootstrap_servers=context.bootstrap_servers,
        postgres_port=plan.ports.postgres,
        metrics_port=plan.ports.capture_metrics,
        sources=tuple(
            WatchedSource(
                source=source.name,
                connector=source.connector,
                slot=source.slot,
                database=source.database,
                role=source.slot,
                password_file=str(password_file(context.files, source.name)),
                heartbeats=names.heartbeat_topic(source.name),
            )
            for source in plan.sources
        ),
    )
