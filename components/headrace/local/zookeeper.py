"""ZooKeeper on this machine, for Flink's high availability: the server that Flink's distribution carries."""

from __future__ import annotations

import pulumi

from headrace.local.context import HOST, LocalContext, process
from headrace.local.java import LOG4J, LOG4J_CONSOLE, java_command, properties
from headrace.local.provider.process import ProcessInputs, Readiness

NAME = "zookeeper"


class ZooKeeper(pulumi.ComponentResource):
    def __init__(self, context: LocalContext, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:local:ZooKeeper", NAME, None, opts)
        files, plan = context.files, context.plan
        port = plan.ports.zookeeper
        settings = plan.zookeeper.settings | {"dataDir": str(files.data(NAME))}
        etc = files.etc(NAME)
        self.process = process(
            ProcessInputs(
                root=context.root,
                name=NAME,
                command=java_command(
                    "org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer",
                    f"{context.runtimes.flink}/lib/*",
                    plan.zookeeper.heap_mib,
                    ("--zkConfigFile", str(etc / "zoo.cfg"), "--peerId", "1"),
                    log4j=etc / LOG4J,
                ),
                files={"zoo.cfg": properties(settings), LOG4J: LOG4J_CONSOLE},
                folders=(str(files.data(NAME)),),
                ports={"ZooKeeper": port},
                ready=Readiness(port=port),
            ),
            parent=self,
        )
        self.register_outputs({"quorum": f"{HOST}:{port}"})
