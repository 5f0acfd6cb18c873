"""The whole of a local stack, from its plan."""

from __future__ import annotations

import shutil

import pulumi

from headrace.agents_fit import Fit
from headrace.local.agent import Agent
from headrace.local.capture_watcher import CaptureWatcher
from headrace.local.connect import ConnectWorker
from headrace.local.context import LocalContext
from headrace.local.files import StackFiles
from headrace.local.flink import FlinkCluster
from headrace.local.kafka import KafkaBroker
from headrace.local.object_store import ObjectStore
from headrace.local.postgres import PostgresServer
from headrace.local.prometheus import Prometheus
from headrace.local.provider.supervisor import SupervisorInputs
from headrace.local.resources import RosterResource, SupervisorResource
from headrace.local.savepoints import PeriodicSavepoints
from headrace.local.scaler import Scaling
from headrace.local.scripted_model import ScriptedModel
from headrace.local.source import Source
from headrace.local.zookeeper import ZooKeeper
from headrace.plan.model import StackPlan
from headrace.provider.roster import RosterInputs
from headrace.toolchain.runtimes import Runtimes
from headrace_agents.code import RUNTIME_PACKAGE, code_digest


class LocalStack(pulumi.ComponentResource):
    """PostgreSQL, Kafka, Connect, object store, ZooKeeper, Flink and the agents on this machine.

    Order is given by data and dependencies alone; what does not depend on each other starts side by side.
    """

    def __init__(
        self,
        plan: StackPlan,
        files: StackFiles,
        runtimes: Runtimes,
        fit: Fit,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("headrace:local:LocalStack", plan.environment, None, opts)
        if pulumi.runtime.is_dry_run():
            for warning in fit.warnings:
                pulumi.log.warn(warning, self)
        context = LocalContext(plan, files, runtimes)
        child = pulumi.ResourceOptions(parent=self)
        supervisor = SupervisorResource("supervisor", SupervisorInputs(root=context.root), child)
        supervised = pulumi.ResourceOptions(parent=self, depends_on=[supervisor])

        postgres = PostgresServer(context, supervised)
        kafka = KafkaBroker(context, supervised)
        store = ObjectStore(context, supervised)
        zookeeper = ZooKeeper(context, supervised)
        runtime = code_digest(RUNTIME_PACKAGE)
        model = ScriptedModel(context, runtime, supervised) if plan.scripted_model else None
        if prometheus := shutil.which("prometheus"):
            Prometheus(context, prometheus, supervised)

        worker = ConnectWorker(context, kafka.process, supervised)
        CaptureWatcher(context, supervised)
        for source in plan.sources:
            Source(source, context, postgres.process, [worker.process, *kafka.topics], child)

        flink = FlinkCluster(context, [zookeeper.process, *store.buckets], supervised)
        names = tuple(agent.name for agent in plan.agents)
        roster = RosterResource("agents", RosterInputs(declared=names, removed=plan.agents_removed), child)
        needs = [roster, *flink.taskmanagers, *kafka.topics, *([model.process] if model else [])]
        if plan.state_storage.savepoints.interval_ms:
            PeriodicSavepoints(context, plan.state_storage.savepoints.interval_ms, supervised)
        Scaling(context, supervised)
        for agent in plan.agents:
            Agent(agent, fit.manifests[agent.spec.entry_point], context, needs, child)

        self.register_outputs(
            {
                "bootstrap_servers": context.bootstrap_servers,
                "flink": context.flink_endpoint,
                "connect": context.connect_endpoint,
            }
        )
