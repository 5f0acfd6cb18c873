"""A source's look before its connector, and its slot, by the provider of headrace's own."""

from __future__ import annotations

from typing import Any

import pulumi

from headrace.aws.source_database import SourceDatabase
from headrace.plan.model import PostgresqlSourcePlan
from headrace.provider.aws import PACKAGE


def before_connector(
    name: str,
    source: PostgresqlSourcePlan,
    database: SourceDatabase,
    declared: list[str],
    client: pulumi.Input[str],
    parent: pulumi.Resource,
) -> list[pulumi.Resource]:
    """What the connector depends on: it is made after these, and gone before them.

    Args:
        name: that the resources' names begin with.
        source: with the connector's configuration.
        database: where it is.
        declared: slots of all declared sources.
        client: the security group that has to be let in at the database, or in words.
        parent: of the resources.
    """
    if database.preflight == "skipped":
        pulumi.log.warn(
            f"source {source.name}: preflight is skipped, as declared: its database is not looked at before"
            " its connector, and its slot stays when the source goes",
            parent,
        )
        return []
    server = {
        "host": database.host,
        "port": database.port,
        "sslmode": source.connector_config["database.sslmode"],
        "security_group_id": database.security_group_id,
        "client": client,
        "secret_arn": database.secret_arn,
    }
    preflight = _made(
        "Preflight",
        f"{name}-preflight",
        {**server, "declared": declared, "source": source.model_dump(mode="json")},
        pulumi.ResourceOptions(parent=parent),
    )
    slot = _made(
        "Slot",
        f"{name}-slot",
        {
            **server,
            "database": source.database,
            "slot": source.slot,
            "plugin": source.connector_config["plugin.name"],
            "role": source.slot,
        },
        # Who can't get there is told so by the look.
        pulumi.ResourceOptions(parent=parent, depends_on=[preflight]),
    )
    return [preflight, slot]


def _made(kind: str, name: str, properties: dict[str, Any], opts: pulumi.ResourceOptions) -> pulumi.Resource:
    return pulumi.CustomResource(f"{PACKAGE}:index:{kind}", name, properties, opts)
