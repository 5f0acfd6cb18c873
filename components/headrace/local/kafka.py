"""Kafka on this machine: one process that is broker and controller (KRaft)."""

from __future__ import annotations

import base64
import uuid

import pulumi

from headrace.local.context import LocalContext, process
from headrace.local.java import LOG4J, LOG4J_CONSOLE, java_command, properties
from headrace.local.provider.process import Preparation, ProcessInputs, Readiness
from headrace.local.provider.topic import TopicInputs
from headrace.local.resources import TopicResource

NAME = "kafka"


class KafkaBroker(pulumi.ComponentResource):
    """The broker and the stack's topics. Topics are data: they stay when the stack is destroyed."""

    def __init__(self, context: LocalContext, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:local:KafkaBroker", NAME, None, opts)
        files, plan = context.files, context.plan
        data, etc = files.data(NAME), files.etc(NAME)
        listener, controller = plan.ports.kafka, plan.ports.kafka_controller
        settings = plan.kafka.settings | {"log.dirs": str(data)}
        classpath = f"{context.runtimes.kafka}/*"
        server, log4j = str(etc / "server.properties"), etc / LOG4J
        format_storage = java_command(
            "kafka.tools.StorageTool",
            classpath,
            128,
            (
                "format",
                # One argument: an id may begin with a dash.
                f"--cluster-id={_cluster_id(plan.environment)}",
                "--config",
                server,
                "--ignore-formatted",
            ),
            log4j=log4j,
        )
        self.process = process(
            ProcessInputs(
                root=context.root,
                name=NAME,
                command=java_command("kafka.Kafka", classpath, plan.kafka.heap_mib, (server,), log4j=log4j),
                files={"server.properties": properties(settings), LOG4J: LOG4J_CONSOLE},
                preparation=(Preparation(creates=str(data / "meta.properties"), command=format_storage),),
                ports={"Kafka": listener, "Kafka's controller": controller},
                ready=Readiness(port=listener),
                stop_wait_s=40,
            ),
            parent=self,
        )
        self.topics = [
            TopicResource(
                topic.name,
                TopicInputs(bootstrap_servers=context.bootstrap_servers, **topic.model_dump()),
                pulumi.ResourceOptions(parent=self, depends_on=[self.process], retain_on_delete=True),
            )
            for topic in plan.topics
        ]
        self.register_outputs({"bootstrap_servers": context.bootstrap_servers})


def _cluster_id(environment: str) -> str:
    """A Kafka UUID (base64 without padding), always the same for an environment."""
    digest = uuid.uuid5(uuid.NAMESPACE_DNS, f"{environment}.headrace")
    return base64.urlsafe_b64encode(digest.bytes).decode().rstrip("=")
