"""A tiny program of somebody's own: one component, made of what is there already, and no stack configuration.

``given.json`` beside it says which component, and names what is there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from headrace.aws import (
    AgentImage,
    AgentImageArgs,
    AgentKafka,
    Alarms,
    AlarmsArgs,
    ChangeCapture,
    ChangeCaptureArgs,
    CheckpointStorage,
    CheckpointStorageArgs,
    Cluster,
    ClusterArgs,
    ConnectorPlace,
    ExistingClusterArgs,
    ExistingNetworkArgs,
    FlinkApplication,
    FlinkApplicationArgs,
    FlinkOperator,
    FlinkOperatorArgs,
    Kafka,
    KafkaArgs,
    Namespace,
    NamespaceArgs,
    Network,
    NetworkArgs,
    Observability,
    ObservabilityArgs,
    ObservedCluster,
    Operations,
    OperationsArgs,
    Plugin,
    SecretKey,
    SourceDatabase,
    StateBuckets,
    Tags,
)
from headrace_agents.manifest import Manifest
from tests.components.aws.planned import planned

GIVEN: dict[str, Any] = json.loads(Path(__file__).with_name("given.json").read_text(encoding="utf-8"))
TAGS = Tags(environment="dev", owner="data-platform", cost_centre="4711")
DIGEST = f"sha256:{'a' * 64}"
PLAN = planned(
    endpoint={"access": "public", "cidrs": ["198.51.100.0/24"]}, protect=False, kafka=GIVEN["kafka"]
)
SUBNETS = [f"subnet-{at:017x}" for at in range(3)]
REGION, CIDRS = "eu-central-1", ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"]
KEY = "arn:aws:kms:eu-central-1:111122223333:key/1"


def in_cluster() -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(provider=k8s.Provider("own", kubeconfig=GIVEN["kubeconfig"]))


def network() -> Network:
    return Network(
        "own",
        NetworkArgs(
            region=REGION,
            cidr="10.1.0.0/16",
            private_subnets=["10.1.0.0/20", "10.1.16.0/20", "10.1.32.0/20"],
            public_subnets=["10.1.240.0/24", "10.1.241.0/24", "10.1.242.0/24"],
            nat_gateways=3,
            log_days=7,
            tags=TAGS,
            bedrock=True,
        ),
    )


def existing_network() -> Network:
    return Network("own", ExistingNetworkArgs(vpc_id=GIVEN["vpc"], private_subnet_ids=GIVEN["subnets"]))


def storage() -> CheckpointStorage:
    return CheckpointStorage(
        "own",
        CheckpointStorageArgs(
            buckets=PLAN.state_storage.buckets, protect=False, access_log_days=7, tags=TAGS
        ),
    )


def kafka() -> Kafka:
    return Kafka(
        "own",
        KafkaArgs(
            brokers=PLAN.kafka,
            topics=PLAN.topics,
            vpc_id=GIVEN["vpc"],
            subnet_ids=GIVEN["subnets"],
            protect=False,
            log_days=7,
            tags=TAGS,
        ),
    )


def capture() -> ChangeCapture:
    archive = Path(GIVEN["archive"])
    database = SourceDatabase(
        host=GIVEN["host"],
        port=GIVEN["port"],
        security_group_id=GIVEN["group"],
        secret_arn=GIVEN["secret"],
        secret_key_arn=KEY,
        preflight=GIVEN.get("preflight", "required"),
    )
    return ChangeCapture(
        "own",
        ChangeCaptureArgs(
            sources=PLAN.sources,
            databases={source.name: database for source in PLAN.sources},
            connect=PLAN.connect,
            plugin=Plugin(archive=archive, sha256=hashlib.sha256(archive.read_bytes()).hexdigest()),
            artifacts_bucket=GIVEN["bucket"],
            artifacts_bucket_arn=f"arn:aws:s3:::{GIVEN['bucket']}",
            place=ConnectorPlace(
                region=REGION,
                vpc_id=GIVEN["vpc"],
                subnet_ids=GIVEN["subnets"],
                cluster_arn=GIVEN["brokers"],
                bootstrap_servers=GIVEN["bootstrap"],
                kafka_client_security_group_id=GIVEN["group"],
            ),
            log_days=7,
            tags=TAGS,
        ),
    )


def cluster() -> Cluster:
    return Cluster(
        "own",
        ClusterArgs(
            cluster=PLAN.cluster,
            subnet_ids=GIVEN["subnets"],
            access={"arn:aws:iam::111122223333:role/deployer": "admin"},
            protect=False,
            log_days=7,
            tags=TAGS,
        ),
    )


def existing_cluster() -> Cluster:
    network = {"vpc_id": "vpc-0123456789abcdef0", "private_subnet_ids": SUBNETS}
    plan = planned(cluster={"existing": GIVEN["cluster"]}, network=network)
    return Cluster(
        "own",
        ExistingClusterArgs(
            cluster=plan.cluster,
            subnet_ids=GIVEN["subnets"],
            vpc_id=GIVEN["vpc"],
            administrators={"runner": "arn:aws:iam::111122223333:role/runner"},
            api_clients={"runner": GIVEN["group"]},
            tags=TAGS,
        ),
    )


def namespace() -> Namespace:
    args = NamespaceArgs(namespace="own", vcpu=4, memory_mib=8192, labels=TAGS.shared)
    return Namespace("own", args, in_cluster())


def operator() -> FlinkOperator:
    return FlinkOperator(
        "own",
        FlinkOperatorArgs(
            operator=PLAN.operator,
            chart="charts/flink-kubernetes-operator-1.15.0.tgz",
            image=f"registry.example/flink-kubernetes-operator@{DIGEST}",
            namespace="flink-operator",
            watched_namespaces=["flink"],
            control_plane_cidrs=CIDRS,
            rest_port=PLAN.deployments[0].pods.ports.rest,
        ),
        in_cluster(),
    )


def application() -> FlinkApplication:
    states = ("checkpoints", "savepoints", "high-availability")
    return FlinkApplication(
        "own",
        FlinkApplicationArgs(
            deployment=PLAN.deployments[0],
            agent=PLAN.agents[0].model_copy(update=GIVEN.get("agent", {})),
            image=f"registry.example/agents@{GIVEN.get('image', DIGEST)}",
            cluster_name=GIVEN["cluster"],
            cluster_arn=GIVEN["clusterArn"],
            kubeconfig=GIVEN["kubeconfig"],
            namespace="flink",
            operator_namespace="flink-operator",
            kafka=AgentKafka(cluster_arn=GIVEN["brokers"], bootstrap_servers=GIVEN["bootstrap"], cidrs=CIDRS),
            state=StateBuckets(
                names={each: f"own-{each}" for each in states},
                arns={each: f"arn:aws:s3:::own-{each}" for each in states},
                key_arn=KEY,
            ),
            tags=TAGS,
            manifest=Manifest.model_validate(GIVEN["manifest"]) if "manifest" in GIVEN else None,
            model_key=SecretKey(secret="models", key="triage"),
        ),
        in_cluster(),
    )


def images() -> AgentImage:
    return AgentImage("own", AgentImageArgs(protect=False, tags=TAGS))


def alarms() -> Alarms:
    return Alarms("own", AlarmsArgs(emails=["oncall@example.com"], tags=TAGS))


def observability() -> Observability:
    return Observability(
        "own",
        ObservabilityArgs(
            deployments=PLAN.deployments,
            connectors=[each.name for each in PLAN.connect.connectors],
            kafka_cluster_arn=GIVEN["brokers"],
            cluster=ObservedCluster(
                name=GIVEN["cluster"],
                arn=GIVEN["clusterArn"],
                subnet_ids=GIVEN["subnets"],
                security_group_id=GIVEN["group"],
            ),
            region=REGION,
            collector_image=f"registry.example/opentelemetry-collector-contrib@{DIGEST}",
            alarm_topic_arn=f"arn:aws:sns:{REGION}:111122223333:alarms",
            log_days=7,
            tags=TAGS,
        ),
        in_cluster(),
    )


def operations() -> Operations:
    return Operations(
        "own",
        OperationsArgs(
            region=REGION,
            vpc_id=GIVEN["vpc"],
            subnet_ids=GIVEN["subnets"],
            protect=False,
            log_days=7,
            tags=TAGS,
        ),
    )


ALONE: dict[str, Callable[[], pulumi.ComponentResource]] = {
    "AgentImage": images,
    "Alarms": alarms,
    "ChangeCapture": capture,
    "CheckpointStorage": storage,
    "Cluster": cluster,
    "Cluster of somebody else": existing_cluster,
    "FlinkApplication": application,
    "FlinkOperator": operator,
    "Kafka": kafka,
    "Namespace": namespace,
    "Network": network,
    "Network of somebody else": existing_network,
    "Observability": observability,
    "Operations": operations,
}

if __name__ == "__main__":
    ALONE[GIVEN["component"]]()
