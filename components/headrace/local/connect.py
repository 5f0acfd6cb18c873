"""Kafka Connect on this machine: one distributed worker with Debezium."""

from __future__ import annotations

import pulumi

from headrace.local.context import LocalContext, process
from headrace.local.java import LOG4J, LOG4J_CONSOLE, java_command, properties
from headrace.local.provider.process import ProcessInputs, Readiness

NAME = "connect"


class ConnectWorker(pulumi.ComponentResource):
    """The worker."""

    def __init__(self, context: LocalContext, kafka: pulumi.Resource, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:local:ConnectWorker", NAME, None, opts)
        files, plan = context.files, context.plan
        etc, port = files.etc(NAME), plan.ports.connect
        settings = plan.connect.settings | {
            "plugin.path": str(context.runtimes.connect_plugins),
            "config.providers.file.param.allowed.paths": str(files.secrets),
        }
        worker, log4j = etc / "worker.properties", etc / LOG4J
        self.process = process(
            ProcessInputs(
                root=context.root,
                name=NAME,
                command=java_command(
                    "org.apache.kafka.connect.cli.ConnectDistributed",
                    f"{context.runtimes.kafka}/*",
                    plan.connect.heap_mib,
                    (str(worker),),
                    log4j=log4j,
                ),
                files={"worker.properties": properties(settings), LOG4J: LOG4J_CONSOLE},
                ports={"Kafka Connect": port},
                ready=Readiness(port=port, url=f"{context.connect_endpoint}/connectors"),
            ),
            parent=self,
            depends_on=[kafka],
        )
        self.register_outputs({"endpoint": context.connect_endpoint})
