"""Kafka on MSK: brokers that only IAM on TLS reaches, their topics, and alarms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from headrace.aws.encryption import key
from headrace.aws.kafka_alarms import KafkaAlarms
from headrace.aws.names import AUTONAME_CHARS, MSK_MAX, fitted
from headrace.aws.tags import Tags
from headrace.errors import HeadraceError
from headrace.plan.aws.kafka import STORAGE_MAX_GIB
from headrace.plan.aws.model import MskPlan
from headrace.plan.model import TopicPlan

KAFKA_VERSION = "3.9.x"
IAM_PORT = 9098
MONITORING = "PER_TOPIC_PER_BROKER"
STORAGE_FULL_PERCENT = 60
"""Disks grow from here: MSK grows one at most every six hours."""


@dataclass(frozen=True, kw_only=True)
class KafkaArgs:
    """Brokers, where they are, and their topics.

    Raises:
        HeadraceError: storage does not fit the kind of broker, brokers do not fit the subnets, two topics
            have one name, or a topic has more copies than there are brokers.
    """

    brokers: MskPlan
    topics: Sequence[TopicPlan]
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    """One for each zone."""
    protect: bool
    """Whether the engine refuses to delete what holds records."""
    log_days: int
    tags: Tags
    alarm_topic_arn: pulumi.Input[str] | None = None
    """Where alarms go; ``None``: they are seen in CloudWatch alone."""

    def __post_init__(self) -> None:
        brokers, zones = self.brokers, len(self.subnet_ids)
        if (brokers.storage_gib is None) != (brokers.kind == "express"):
            raise HeadraceError(
                f"kafka: given {brokers.storage_gib or 'no'} GiB for {brokers.kind} brokers; "
                "allowed: a size for standard ones, none for express ones"
            )
        if zones == 0 or brokers.brokers % zones:
            raise HeadraceError(
                f"kafka: given {brokers.brokers} brokers for {zones} subnets; allowed: as many in each"
            )
        twice = [name for name, count in Counter(topic.name for topic in self.topics).items() if count > 1]
        if twice:
            raise HeadraceError(f"kafka: given topic {twice[0]} more than once; allowed: each name once")
        for topic in self.topics:
            if topic.replication > brokers.brokers:
                raise HeadraceError(
                    f"kafka: given {topic.replication} copies of topic {topic.name}; "
                    f"allowed: at most one for each of {brokers.brokers} brokers"
                )


class Kafka(pulumi.ComponentResource):
    """A cluster with its topics. Who is in the clients' security group, and has the right, reaches it.

    Topics can't be made by using them; each is a resource, and waits for the brokers.

    >>> kafka = Kafka(
    ...     "dev",
    ...     KafkaArgs(
    ...         brokers=plan.kafka,
    ...         topics=plan.topics,
    ...         vpc_id=network.vpc_id,
    ...         subnet_ids=network.private_subnet_ids,
    ...         protect=plan.protect,
    ...         log_days=plan.log_days,
    ...         tags=Tags(environment="dev", owner="data", cost_centre="4711"),
    ...     ),
    ... )  # doctest: +SKIP
    """

    cluster_arn: pulumi.Output[str]
    bootstrap_servers: pulumi.Output[str]
    """For clients with IAM on TLS, the only ones there are."""
    client_security_group_id: pulumi.Output[str]
    topics: dict[str, aws.msk.Topic]

    def __init__(self, name: str, args: KafkaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("headrace:aws:Kafka", name, None, opts)
        self._name, self._args, self._child = name, args, pulumi.ResourceOptions(parent=self)
        clients, brokers = self._security_groups()
        cluster = self._cluster(brokers)
        if args.brokers.storage_gib is not None:
            self._growing_storage(cluster)
        self.topics = {topic.name: self._topic(topic, cluster) for topic in args.topics}
        KafkaAlarms(
            f"{name}-kafka",
            cluster.cluster_name,
            args.brokers.brokers if args.brokers.storage_gib is not None else 0,
            args.alarm_topic_arn,
            args.tags,
            self._child,
        )
        self.cluster_arn = cluster.arn
        self.bootstrap_servers = cluster.bootstrap_brokers_sasl_iam
        self.client_security_group_id = clients.id
        self.register_outputs(
            {
                "cluster_arn": self.cluster_arn,
                "bootstrap_servers": self.bootstrap_servers,
                "client_security_group_id": self.client_security_group_id,
            }
        )

    def _security_groups(self) -> tuple[aws.ec2.SecurityGroup, aws.ec2.SecurityGroup]:
        """Clients and brokers: the one may connect to the other, and nobody else may."""
        clients = self._security_group("kafka-clients", "What may connect to the brokers")
        brokers = self._security_group("kafka", "The brokers")
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-kafka",
            security_group_id=brokers.id,
            referenced_security_group_id=clients.id,
            description="Kafka with IAM on TLS, from clients",
            ip_protocol="tcp",
            from_port=IAM_PORT,
            to_port=IAM_PORT,
            tags=self._args.tags.named(f"{self._name}-kafka"),
            opts=self._child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-kafka-clients",
            security_group_id=clients.id,
            referenced_security_group_id=brokers.id,
            description="Kafka with IAM on TLS, to brokers",
            ip_protocol="tcp",
            from_port=IAM_PORT,
            to_port=IAM_PORT,
            tags=self._args.tags.named(f"{self._name}-kafka-clients"),
            opts=self._child,
        )
        return clients, brokers

    def _security_group(self, kind: str, what: str) -> aws.ec2.SecurityGroup:
        name = f"{self._name}-{kind}"
        return aws.ec2.SecurityGroup(
            name,
            description=what,
            vpc_id=self._args.vpc_id,
            tags=self._args.tags.named(name),
            opts=self._child,
        )

    def _cluster(self, group: aws.ec2.SecurityGroup) -> aws.msk.Cluster:
        name, args = f"{self._name}-kafka", self._args
        data = pulumi.ResourceOptions(parent=self, protect=args.protect)
        encryption = key(name, f"Records of Kafka of {args.tags.environment}", args.tags, data)
        logs = aws.cloudwatch.LogGroup(
            name, retention_in_days=args.log_days, tags=args.tags.named(name), opts=self._child
        )
        configuration = aws.msk.Configuration(
            fitted(name, MSK_MAX - AUTONAME_CHARS),
            kafka_versions=[KAFKA_VERSION],
            server_properties=_properties(args.brokers.configuration),
            opts=self._child,
        )
        nodes: aws.msk.ClusterBrokerNodeGroupInfoArgsDict = {
            "instance_type": args.brokers.instance_type,
            "client_subnets": list(args.subnet_ids),
            "security_groups": [group.id],
            "connectivity_info": {"public_access": {"type": "DISABLED"}},
        }
        if args.brokers.storage_gib is not None:
            nodes["storage_info"] = {"ebs_storage_info": {"volume_size": args.brokers.storage_gib}}
        return aws.msk.Cluster(
            fitted(name, MSK_MAX - AUTONAME_CHARS),
            kafka_version=KAFKA_VERSION,
            number_of_broker_nodes=args.brokers.brokers,
            broker_node_group_info=nodes,
            configuration_info={"arn": configuration.arn, "revision": configuration.latest_revision},
            client_authentication={"sasl": {"iam": True, "scram": False}, "unauthenticated": False},
            encryption_info={
                "encryption_at_rest_kms_key_arn": encryption.arn,
                "encryption_in_transit": {"client_broker": "TLS", "in_cluster": True},
            },
            enhanced_monitoring=MONITORING,
            open_monitoring={
                "prometheus": {
                    "jmx_exporter": {"enabled_in_broker": True},
                    "node_exporter": {"enabled_in_broker": True},
                }
            },
            logging_info={"broker_logs": {"cloudwatch_logs": {"enabled": True, "log_group": logs.name}}},
            tags=args.tags.named(name),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                # Disks grow by themselves and can't shrink: what they have grown to is no drift.
                ignore_changes=["brokerNodeGroupInfo.storageInfo.ebsStorageInfo.volumeSize"],
            ),
        )

    def _growing_storage(self, cluster: aws.msk.Cluster) -> None:
        name = f"{self._name}-kafka-storage"
        target = aws.appautoscaling.Target(
            name,
            service_namespace="kafka",
            scalable_dimension="kafka:broker-storage:VolumeSize",
            resource_id=cluster.arn,
            min_capacity=1,
            max_capacity=STORAGE_MAX_GIB,
            tags=self._args.tags.named(name),
            opts=self._child,
        )
        aws.appautoscaling.Policy(
            name,
            policy_type="TargetTrackingScaling",
            service_namespace=target.service_namespace,
            scalable_dimension=target.scalable_dimension,
            resource_id=target.resource_id,
            target_tracking_scaling_policy_configuration={
                "target_value": STORAGE_FULL_PERCENT,
                "disable_scale_in": True,
                "predefined_metric_specification": {
                    "predefined_metric_type": "KafkaBrokerStorageUtilization"
                },
            },
            opts=self._child,
        )

    def _topic(self, topic: TopicPlan, cluster: aws.msk.Cluster) -> aws.msk.Topic:
        return aws.msk.Topic(
            f"{self._name}-{topic.name}",
            name=topic.name,
            cluster_arn=cluster.arn,
            partition_count=topic.partitions,
            replication_factor=topic.replication,
            configs=pulumi.Output.json_dumps(topic.config, sort_keys=True),
            opts=pulumi.ResourceOptions(parent=self, protect=self._args.protect),
        )


def _properties(settings: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in sorted(settings.items()))
