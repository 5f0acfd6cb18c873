"""One connector on MSK Connect: what it reads, with which rights, and how its changes reach Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from headrace.aws.iam import Statement, account_of, allow, document, trust
from headrace.aws.kafka_rights import connection, groups, kafka_arns, transactions
from headrace.aws.names import AUTONAME_CHARS, ROLE_MAX, fitted
from headrace.aws.source_database import SourceDatabase, secret_rights, to_database
from headrace.aws.source_resources import before_connector
from headrace.aws.tags import Tags
from headrace.environment.names import heartbeat_topic
from headrace.plan.aws.model import ConnectorCapacityPlan
from headrace.plan.binlog import HISTORY_SERVERS
from headrace.plan.model import BinlogSourcePlan, PostgresqlSourcePlan, SourcePlan

CONNECT_VERSION = "3.7.x"
"""The newest of MSK Connect's; Debezium 3 needs its Java 17."""
HTTPS, ANYWHERE = 443, "0.0.0.0/0"
INTERNAL = "__amazon_msk_connect_*"
"""Topics and groups that MSK Connect makes for itself."""


@dataclass(frozen=True, kw_only=True)
class ConnectorPlace:
    """The network and the cluster that connectors are in."""

    region: str
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    cluster_arn: pulumi.Input[str]
    bootstrap_servers: pulumi.Input[str]
    kafka_client_security_group_id: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class ConnectorArgs:
    """One source, and what its connector shares with others."""

    source: SourcePlan
    capacity: ConnectorCapacityPlan
    database: SourceDatabase
    place: ConnectorPlace
    plugin: aws.mskconnect.CustomPlugin
    workers: aws.mskconnect.WorkerConfiguration
    logs: aws.cloudwatch.LogGroup
    offsets_topic: str
    declared: list[str]
    """Slots of all declared sources."""
    client: pulumi.Input[str]
    """What the database has to let in for the look before: a security group, or in words."""
    tags: Tags


class Connector(pulumi.ComponentResource):
    """Debezium for one source, with a role and a security group that reach this source and no other."""

    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: ConnectorArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:aws:Connector", name, None, opts)
        self._name, self._tags, self._child = name, args.tags, pulumi.ResourceOptions(parent=self)
        source, place = args.source, args.place
        group = self._security_group(place, args.database)
        role, policy = self._role(args)
        ready = (
            before_connector(name, source, args.database, args.declared, args.client, self)
            if isinstance(source, PostgresqlSourcePlan)
            else []
        )
        settings = source.connector_config | {
            "database.hostname": args.database.host,
            "database.port": pulumi.Output.from_input(args.database.port).apply(str),
            # The workers' provider reads it; the configuration, the state and the API show the reference.
            "database.password": f"${{secretsmanager:{args.database.secret_name}:password}}",
        }
        if isinstance(source, BinlogSourcePlan):
            settings[HISTORY_SERVERS] = place.bootstrap_servers
        self.connector = aws.mskconnect.Connector(
            name,
            name=source.connector,
            kafkaconnect_version=CONNECT_VERSION,
            capacity={
                "provisioned_capacity": {
                    "mcu_count": args.capacity.mcu,
                    "worker_count": args.capacity.workers,
                }
            },
            connector_configuration=settings,
            kafka_cluster={
                "apache_kafka_cluster": {
                    "bootstrap_servers": place.bootstrap_servers,
                    "vpc": {
                        "subnets": list(place.subnet_ids),
                        "security_groups": [group.id, place.kafka_client_security_group_id],
                    },
                }
            },
            kafka_cluster_client_authentication={"authentication_type": "IAM"},
            kafka_cluster_encryption_in_transit={"encryption_type": "TLS"},
            plugins=[{"custom_plugin": {"arn": args.plugin.arn, "revision": args.plugin.latest_revision}}],
            worker_configuration={"arn": args.workers.arn, "revision": args.workers.latest_revision},
            service_execution_role_arn=role.arn,
            log_delivery={
                "worker_log_delivery": {"cloudwatch_logs": {"enabled": True, "log_group": args.logs.name}}
            },
            tags=args.tags.named(name),
            # A source has one reader, and offsets belong to the name: the old one goes first.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy, *ready], delete_before_replace=True),
        )
        self.security_group_id = group.id
        self.register_outputs({"connector": source.connector, "security_group_id": group.id})

    def _security_group(self, place: ConnectorPlace, database: SourceDatabase) -> aws.ec2.SecurityGroup:
        """Out to the database and to AWS's interfaces; nothing comes in."""
        group = aws.ec2.SecurityGroup(
            f"{self._name}-connector",
            description="A connector, which reads its source",
            vpc_id=place.vpc_id,
            tags=self._tags.named(f"{self._name}-connector"),
            opts=self._child,
        )
        to_database(f"{self._name}-database", group, database, self._tags, self._child)
        aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-aws",
            security_group_id=group.id,
            cidr_ipv4=ANYWHERE,
            description="Interfaces of AWS, for secrets and tokens",
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            tags=self._tags.named(f"{self._name}-aws"),
            opts=self._child,
        )
        return group

    def _role(self, args: ConnectorArgs) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        cluster = pulumi.Output.from_input(args.place.cluster_arn)
        role = aws.iam.Role(
            fitted(f"{self._name}-connector", ROLE_MAX - AUTONAME_CHARS),
            assume_role_policy=trust("kafkaconnect.amazonaws.com", account_of(cluster)),
            tags=self._tags.named(f"{self._name}-connector"),
            opts=self._child,
        )
        policy = aws.iam.RolePolicy(
            f"{self._name}-connector",
            role=role.name,
            policy=document(
                *_kafka_rights(args.source, cluster, args.offsets_topic), *secret_rights(args.database)
            ),
            opts=self._child,
        )
        return role, policy


def _kafka_rights(source: SourcePlan, cluster: pulumi.Output[str], offsets: str) -> list[Statement]:
    written = [*(table.topic for table in source.tables), heartbeat_topic(source.name)]
    return [
        connection(cluster),
        allow(
            ["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"],
            kafka_arns(cluster, "topic", written),
        ),
        allow(
            [
                "kafka-cluster:CreateTopic",
                "kafka-cluster:DescribeTopic",
                "kafka-cluster:ReadData",
                "kafka-cluster:WriteData",
            ],
            kafka_arns(cluster, "topic", [INTERNAL, offsets]),
        ),
        groups(cluster, [INTERNAL, "connect-*"]),
        # Exactly-once: Connect names its leader's transactions `connect-cluster-GROUP`, and a task's
        # `GROUP-CONNECTOR-TASK`; the group is MSK Connect's own.
        transactions(cluster, [INTERNAL, "connect-cluster-*", f"*-{source.connector}-*"]),
        *(_history_rights(source, cluster) if isinstance(source, BinlogSourcePlan) else ()),
    ]


def _history_rights(source: BinlogSourcePlan, cluster: pulumi.Output[str]) -> list[Statement]:
    """Debezium's own clients read it at each start, write to it, and look whether it is kept for ever."""
    return [
        allow(
            [
                "kafka-cluster:DescribeTopic",
                "kafka-cluster:DescribeTopicDynamicConfiguration",
                "kafka-cluster:ReadData",
                "kafka-cluster:WriteData",
            ],
            kafka_arns(cluster, "topic", [source.schema_history_topic]),
        ),
        groups(cluster, [source.schema_history_group]),
    ]
