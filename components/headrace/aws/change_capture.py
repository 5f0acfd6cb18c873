"""Change capture on MSK Connect: Debezium as a plugin, its workers' settings, a connector for each source."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_aws as aws

from headrace.aws.connector import Connector, ConnectorArgs, ConnectorPlace
from headrace.aws.names import AUTONAME_CHARS, CONNECT_MAX, fitted
from headrace.aws.source_database import SourceDatabase
from headrace.aws.tags import Tags
from headrace.environment.engines import Engine
from headrace.errors import HeadraceError
from headrace.plan.aws.kafka import PLUGIN_FOLDERS
from headrace.plan.aws.model import ConnectorCapacityPlan, ConnectPlan
from headrace.plan.model import PostgresqlSourcePlan, SourcePlan

SHOWN_DIGITS = 12
OFFSETS_TOPIC = "offset.storage.topic"


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A zip file with Debezium's connectors of the sources' engines and AWS's configuration providers.

    Raises:
        HeadraceError: the file is not there, or is another one than its checksum says.
    """

    archive: Path
    sha256: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise HeadraceError(f"plugin: given checksum {self.sha256!r}; allowed: 64 hexadecimal digits")
        if not self.archive.is_file():
            raise HeadraceError(f"plugin: given {self.archive}, which is not there; allowed: a zip file")
        with self.archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            raise HeadraceError(
                f"plugin: given {self.archive} with SHA-256 {found}; allowed: the pinned one, {self.sha256}"
            )

    def captures(self, engine: Engine) -> bool:
        """Whether it has the connector of that engine."""
        if not zipfile.is_zipfile(self.archive):
            return False
        with zipfile.ZipFile(self.archive) as archive:
            return any(name.startswith(f"{PLUGIN_FOLDERS[engine]}/") for name in archive.namelist())


@dataclass(frozen=True, kw_only=True)
class ChangeCaptureArgs:
    """Sources with their databases, and where the connectors run.

    Raises:
        HeadraceError: a source lacks its database or its capacity, the plugin lacks the connector of its
            engine, or the offsets have no topic of their own.
    """

    sources: Sequence[SourcePlan]
    databases: Mapping[str, SourceDatabase]
    """By the source's name."""
    connect: ConnectPlan
    plugin: Plugin
    artifacts_bucket: pulumi.Input[str]
    artifacts_bucket_arn: pulumi.Input[str]
    place: ConnectorPlace
    log_days: int
    tags: Tags
    client: pulumi.Input[str] = "where the stack is brought up"
    """What databases have to let in for the look before a connector: a security group, or in words."""

    def __post_init__(self) -> None:
        if not self.connect.worker_configuration.get(OFFSETS_TOPIC):
            raise HeadraceError(
                f"change capture: given no {OFFSETS_TOPIC}; allowed: a fixed one, as a new connector would "
                "start without the offsets of the one before it"
            )
        capacities = {capacity.name for capacity in self.connect.connectors}
        for source in self.sources:
            if source.name not in self.databases:
                raise HeadraceError(
                    f"change capture: given no database for source {source.name}; "
                    "allowed: one for each source"
                )
            # PostgreSQL's is not asked for: an archive of another origin may have it under another name.
            if source.engine != "postgresql" and not self.plugin.captures(source.engine):
                raise HeadraceError(
                    f"change capture: given a plugin without {PLUGIN_FOLDERS[source.engine]}, and source"
                    f" {source.name} is {source.engine}; allowed: one that"
                    f" `headrace plugin build --engine {source.engine}` wrote"
                )
            if source.connector not in capacities:
                raise HeadraceError(
                    f"change capture: given no capacity for connector {source.connector}; "
                    "allowed: one for each source"
                )

    def capacity(self, source: SourcePlan) -> ConnectorCapacityPlan:
        return next(each for each in self.connect.connectors if each.name == source.connector)


class ChangeCapture(pulumi.ComponentResource):
    """Connectors that share a plugin and their workers' settings, each with a role of its own.

    A change of the plugin makes a new one beside the old; then each connector is deleted and made anew under
    its name, and goes on from the offsets that are kept under that name in the pinned topic.

    >>> capture = ChangeCapture(
    ...     "dev",
    ...     ChangeCaptureArgs(
    ...         sources=plan.sources,
    ...         databases={"support": database},
    ...         connect=plan.connect,
    ...         plugin=Plugin(archive=Path("debezium.zip"), sha256="..."),
    ...         artifacts_bucket=storage.bucket_names["artifacts"],
    ...         artifacts_bucket_arn=storage.bucket_arns["artifacts"],
    ...         place=place,
    ...         log_days=plan.log_days,
    ...         tags=Tags(environment="dev", owner="data", cost_centre="4711"),
    ...     ),
    ...     pulumi.ResourceOptions(depends_on=list(kafka.topics.values())),
    ... )  # doctest: +SKIP
    """

    connectors: dict[str, Connector]
    """By the source's name."""

    def __init__(
        self, name: str, args: ChangeCaptureArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("headrace:aws:ChangeCapture", name, None, opts)
        self._name, self._child = name, pulumi.ResourceOptions(parent=self)
        if pulumi.runtime.is_dry_run():
            pulumi.log.info("a preview looks at no source database; `up` does, before each connector", self)
        plugin = self._plugin(args)
        workers = aws.mskconnect.WorkerConfiguration(
            fitted(f"{name}-connect", CONNECT_MAX - AUTONAME_CHARS),
            properties_file_content=self._worker_properties(args),
            tags=args.tags.named(f"{name}-connect"),
            opts=self._child,
        )
        logs = aws.cloudwatch.LogGroup(
            f"{name}-connect",
            retention_in_days=args.log_days,
            tags=args.tags.named(f"{name}-connect"),
            opts=self._child,
        )
        self.connectors = {
            source.name: Connector(
                f"{name}-{source.name}",
                ConnectorArgs(
                    source=source,
                    capacity=args.capacity(source),
                    database=args.databases[source.name],
                    place=args.place,
                    plugin=plugin,
                    workers=workers,
                    logs=logs,
                    offsets_topic=args.connect.worker_configuration[OFFSETS_TOPIC],
                    declared=[each.slot for each in args.sources if isinstance(each, PostgresqlSourcePlan)],
                    client=args.client,
                    tags=args.tags,
                ),
                self._child,
            )
            for source in args.sources
        }
        self.register_outputs({"log_group": logs.name})

    def _plugin(self, args: ChangeCaptureArgs) -> aws.mskconnect.CustomPlugin:
        # Both names carry the checksum: another file is another plugin, and the old one goes last.
        version = args.plugin.sha256[:SHOWN_DIGITS]
        name = f"{self._name}-debezium-{version}"
        archive = aws.s3.BucketObjectv2(
            name,
            bucket=args.artifacts_bucket,
            key=f"plugins/debezium-postgres-{version}.zip",
            source=pulumi.FileAsset(str(args.plugin.archive)),
            source_hash=args.plugin.sha256,
            checksum_algorithm="SHA256",
            tags=args.tags.named(name),
            opts=self._child,
        )
        return aws.mskconnect.CustomPlugin(
            fitted(name, CONNECT_MAX - AUTONAME_CHARS),
            content_type="ZIP",
            location={
                "s3": {
                    "bucket_arn": args.artifacts_bucket_arn,
                    "file_key": archive.key,
                    "object_version": archive.version_id,
                }
            },
            tags=args.tags.named(name),
            opts=self._child,
        )

    @staticmethod
    def _worker_properties(args: ChangeCaptureArgs) -> str:
        settings = args.connect.worker_configuration | {
            "config.providers.secretsmanager.param.region": args.place.region
        }
        return "".join(f"{key}={value}\n" for key, value in sorted(settings.items()))
