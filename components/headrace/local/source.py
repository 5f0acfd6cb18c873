"""A source on this machine: its database, the look at it, and the connector that captures it."""

from __future__ import annotations

import pulumi

from headrace.local.context import LocalContext
from headrace.local.files import StackFiles
from headrace.local.provider.backfill import BackfillInputs
from headrace.local.provider.connector import ConnectorInputs
from headrace.local.provider.database import Column, DatabaseInputs, Table
from headrace.local.provider.preflight import PreflightInputs
from headrace.local.resources import (
    BackfillResource,
    ConnectorResource,
    DatabaseResource,
    PreflightResource,
)
from headrace.local.source_access import password_file
from headrace.plan.model import SourcePlan


class Source(pulumi.ComponentResource):
    """Database and connector. The database is data: it stays when the stack is destroyed."""

    def __init__(
        self,
        source: SourcePlan,
        context: LocalContext,
        server: pulumi.Resource,
        worker: list[pulumi.Resource],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("headrace:local:Source", source.name, None, opts)
        files, port = context.files, context.plan.ports.postgres
        self.database = DatabaseResource(
            f"{source.name}-database",
            database_of(source, files, port),
            pulumi.ResourceOptions(parent=self, depends_on=[server], retain_on_delete=True),
        )
        preflight = PreflightResource(
            f"{source.name}-preflight",
            PreflightInputs(root=context.root, port=port, source=source),
            pulumi.ResourceOptions(parent=self, depends_on=[self.database]),
        )
        config = source.connector_config | {
            # The worker's FileConfigProvider reads it; Connect's topics and interface show the reference.
            "database.password": f"${{file:{password_file(files, source.name)}:password}}",
        }
        self.connector = ConnectorResource(
            source.connector,
            ConnectorInputs(endpoint=context.connect_endpoint, name=source.connector, config=config),
            pulumi.ResourceOptions(parent=self, depends_on=[preflight, *worker]),
        )
        # One after the other: they run in the order in which they are declared.
        told: pulumi.Resource = self.connector
        for backfill in source.backfills:
            told = BackfillResource(
                f"{source.name}-backfill-{backfill.id}",
                BackfillInputs(
                    bootstrap_servers=context.bootstrap_servers,
                    topic=source.signals_topic,
                    source=source.name,
                    **backfill.model_dump(),
                ),
                pulumi.ResourceOptions(parent=self, depends_on=[told]),
            )
        self.register_outputs({"connector": source.connector})


def database_of(source: SourcePlan, files: StackFiles, port: int) -> DatabaseInputs:
    """The database as it is declared, and the role that captures it."""
    return DatabaseInputs(
        root=str(files.root),
        port=port,
        database=source.database,
        role=source.slot,
        password_file=str(password_file(files, source.name)),
        publication=source.publication,
        tables=tuple(
            Table(
                name=table.name,
                columns=tuple(Column(name=column.name, type=column.type) for column in table.columns),
                primary_key=table.primary_key,
                key=table.key,
            )
            for table in source.tables
        ),
    )
