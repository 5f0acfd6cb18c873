"""Periodic savepoints: the process that makes them, where the plan wants some."""

from __future__ import annotations

import sys

import pulumi

from headrace.local.context import LocalContext, process
from headrace.local.provider.process import ProcessInputs
from headrace.local.savepoint_schedule import Schedule
from headrace.local.survey import history, settle_time

NAME = "periodic-savepoints"


class PeriodicSavepoints(pulumi.ComponentResource):
    """Beside Flink; it waits by itself for what it talks to."""

    def __init__(self, context: LocalContext, interval_ms: int, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:local:PeriodicSavepoints", NAME, None, opts)
        plan, kept = context.plan, history(context.plan.state_storage.savepoints)
        told = Schedule(
            flink_endpoint=context.flink_endpoint,
            object_store_endpoint=context.object_store_endpoint,
            agents=tuple(agent.name for agent in plan.agents),
            interval_s=interval_ms / 1000,
            history_count=kept.count,
            history_age_s=kept.age.total_seconds(),
            settle_s=settle_time(plan.flink.checkpoints).total_seconds(),
        )
        config = context.files.etc(NAME) / "schedule.json"
        self.process = process(
            ProcessInputs(
                root=context.root,
                name=NAME,
                command=(sys.executable, "-m", "headrace.local.periodic_savepoints", str(config)),
                files={config.name: told.model_dump_json(indent=2)},
            ),
            parent=self,
        )
        self.register_outputs({})
