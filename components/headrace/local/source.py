"""A source on this machine: its database, publication, slot, the look at them, and the connector."""

from __future__ import annotations

import pulumi

from headrace.capture.publishing import published_operations_of
from headrace.local.context import LocalContext
from headrace.local.files import StackFiles
from headrace.local.provider.backfill import BackfillInputs
from headrace.local.provider.connector import ConnectorInputs
from headrace.local.provider.database import Column, DatabaseInputs, Table
from headrace.local.provider.preflight import PreflightInputs
from headrace.local.provider.publication import PublicationInputs
from headrace.local.provider.slot import SlotInputs
from headrace.local.resources import (
    BackfillResource,
    ConnectorResource,
    DatabaseResource,
    PreflightResource,
    PublicationResource,
    SlotResource,
)
from headrace.local.source_access import complete_config, password_file
from headrace.plan.model import PostgresqlSourcePlan


class Source(pulumi.ComponentResource):
    """Database and connector. The database is data: it stays when the stack is destroyed."""

    def __init__(
        self,
        source: PostgresqlSourcePlan,
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
        publication = PublicationResource(
            f"{source.name}-publication",
            publication_of(source, files, port),
            pulumi.ResourceOptions(parent=self, depends_on=[self.database]),
        )
        slot = SlotResource(
            f"{source.name}-slot",
            slot_of(source, files, port),
            pulumi.ResourceOptions(parent=self, depends_on=[publication]),
        )
        preflight = PreflightResource(
            f"{source.name}-preflight",
            PreflightInputs(
                root=context.root,
                port=port,
                bootstrap_servers=context.bootstrap_servers,
                offsets_topic=context.offsets_topic,
                declared=tuple(each.slot for each in context.plan.sources),
                source=source,
            ),
            # Of the worker it needs the topic of offsets.
            pulumi.ResourceOptions(parent=self, depends_on=[slot, *worker]),
        )
        self.connector = ConnectorResource(
            source.connector,
            ConnectorInputs(
                endpoint=context.connect_endpoint,
                name=source.connector,
                config=complete_config(files, source),
            ),
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


def database_of(source: PostgresqlSourcePlan, files: StackFiles, port: int) -> DatabaseInputs:
    """The database as it is declared, and the role that captures it."""
    return DatabaseInputs(
        root=str(files.root),
        port=port,
        database=source.database,
        role=source.slot,
        password_file=str(password_file(files, source.name)),
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


def publication_of(source: PostgresqlSourcePlan, files: StackFiles, port: int) -> PublicationInputs:
    """Exactly the declared tables, and what the connector does not skip."""
    return PublicationInputs(
        root=str(files.root),
        port=port,
        database=source.database,
        publication=source.publication,
        role=source.slot,
        tables=tuple(table.name for table in source.tables),
        operations=tuple(published_operations_of(source.connector_config)),
    )


def slot_of(source: PostgresqlSourcePlan, files: StackFiles, port: int) -> SlotInputs:
    """As the connector is told to make and to read it."""
    return SlotInputs(
        root=str(files.root),
        port=port,
        database=source.database,
        slot=source.slot,
        plugin=source.connector_config["plugin.name"],
        role=source.slot,
    )
