"""The object store on this machine: S3 paths as on AWS, kept in a folder."""

from __future__ import annotations

import pulumi

from headrace.local.context import HOST, LocalContext, process
from headrace.local.java import java_command, properties
from headrace.local.provider.bucket import BucketInputs
from headrace.local.provider.process import ProcessInputs, Readiness
from headrace.local.resources import BucketResource
from headrace.state.layout import BUCKETS as SNAPSHOTS

NAME = "object-store"

# Logback's default is everything, megabytes of it a minute.
LOGBACK = """<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %-5level %logger - %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="console"/></root>
</configuration>
"""
HIGH_AVAILABILITY = "high-availability"
BUCKETS = (*SNAPSHOTS, HIGH_AVAILABILITY)


class ObjectStore(pulumi.ComponentResource):
    """S3Proxy and Flink's buckets. Buckets are data: they stay when the stack is destroyed."""

    def __init__(self, context: LocalContext, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:local:ObjectStore", NAME, None, opts)
        files, plan = context.files, context.plan
        data, port = files.data(NAME), plan.ports.object_store
        settings = plan.object_store.settings | {
            "s3proxy.endpoint": f"http://{HOST}:{port}",
            "jclouds.filesystem.basedir": str(data),
        }
        config = files.etc(NAME) / "s3proxy.properties"
        self.process = process(
            ProcessInputs(
                root=context.root,
                name=NAME,
                command=java_command(
                    "org.gaul.s3proxy.Main",
                    f"{context.runtimes.s3proxy}/*",
                    plan.object_store.heap_mib,
                    ("--properties", str(config)),
                    logback=config.with_name("logback.xml"),
                ),
                files={config.name: properties(settings), "logback.xml": LOGBACK},
                folders=(str(data),),
                ports={"object store": port},
                ready=Readiness(port=port),
            ),
            parent=self,
        )
        self.buckets = [
            BucketResource(
                name,
                BucketInputs(endpoint=context.object_store_endpoint, name=name),
                pulumi.ResourceOptions(parent=self, depends_on=[self.process], retain_on_delete=True),
            )
            for name in BUCKETS
        ]
        self.register_outputs({"endpoint": context.object_store_endpoint})
