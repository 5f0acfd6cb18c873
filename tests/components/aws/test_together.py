"""Components of one environment, each built of what the one before it gives."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pulumi
import pytest

from headrace.aws import (
    AgentImage,
    AgentImageArgs,
    AgentKafka,
    ChangeCapture,
    ChangeCaptureArgs,
    CheckpointStorage,
    CheckpointStorageArgs,
    Cluster,
    ClusterArgs,
    ConnectorPlace,
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
    Plugin,
    SecretKey,
    StateBuckets,
)
from headrace.plan import AwsPlan
from tests.components.aws.cloud import TAGS, assert_house_rules, built, inputs
from tests.components.aws.planned import planned
from tests.components.aws.test_change_capture import CONNECTOR, DATABASE
from tests.components.aws.test_flink_application import DIGEST, FLINK, POLICY
from tests.components.recording import Registered


def environment(name: str, plan: AwsPlan, archive: Path) -> None:
    network = Network(
        name,
        NetworkArgs(
            region=plan.region,
            cidr=str(plan.network.cidr),
            private_subnets=plan.network.private_subnets,
            public_subnets=plan.network.public_subnets,
            nat_gateways=plan.network.nat_gateways,
            log_days=plan.log_days,
            tags=TAGS,
        ),
    )
    storage = CheckpointStorage(
        name,
        CheckpointStorageArgs(
            buckets=plan.state_storage.buckets,
            protect=plan.protect,
            access_log_days=plan.log_days,
            tags=TAGS,
        ),
    )
    kafka = Kafka(
        name,
        KafkaArgs(
            brokers=plan.kafka,
            topics=plan.topics,
            vpc_id=network.vpc_id,
            subnet_ids=network.private_subnet_ids,
            protect=plan.protect,
            log_days=plan.log_days,
            tags=TAGS,
        ),
    )
    ChangeCapture(
        name,
        ChangeCaptureArgs(
            sources=plan.sources,
            databases={source.name: DATABASE for source in plan.sources},
            connect=plan.connect,
            plugin=Plugin(archive=archive, sha256=hashlib.sha256(archive.read_bytes()).hexdigest()),
            artifacts_bucket=storage.bucket_names["artifacts"],
            artifacts_bucket_arn=storage.bucket_arns["artifacts"],
            place=ConnectorPlace(
                region=plan.region,
                vpc_id=network.vpc_id,
                subnet_ids=network.private_subnet_ids,
                cluster_arn=kafka.cluster_arn,
                bootstrap_servers=kafka.bootstrap_servers,
                kafka_client_security_group_id=kafka.client_security_group_id,
            ),
            log_days=plan.log_days,
            tags=TAGS,
        ),
        pulumi.ResourceOptions(depends_on=list(kafka.topics.values())),
    )
    cluster = Cluster(
        name,
        ClusterArgs(
            cluster=plan.cluster,
            subnet_ids=network.private_subnet_ids,
            access={"arn:aws:iam::111122223333:role/deployer": "admin"},
            protect=plan.protect,
            log_days=plan.log_days,
            node_security_group_ids=[kafka.client_security_group_id],
            tags=TAGS,
        ),
    )
    images = AgentImage(name, AgentImageArgs(protect=plan.protect, tags=TAGS))
    in_cluster = pulumi.ResourceOptions(provider=cluster.provider)
    home, jobs = (
        Namespace(
            f"{name}-{space}",
            NamespaceArgs(namespace=space, vcpu=16, memory_mib=65_536, labels=TAGS.shared),
            in_cluster,
        )
        for space in ("flink-operator", "flink")
    )
    operator = FlinkOperator(
        f"{name}-operator",
        FlinkOperatorArgs(
            operator=plan.operator,
            chart="charts/flink-kubernetes-operator-1.15.0.tgz",
            image=f"registry.example/flink-kubernetes-operator@{DIGEST}",
            namespace=home.namespace,
            watched_namespaces=["flink"],
            control_plane_cidrs=[*plan.network.private_subnets, cluster.service_cidr],
            rest_port=plan.deployments[0].pods.ports.rest,
        ),
        in_cluster,
    )
    for deployment, agent in zip(plan.deployments, plan.agents, strict=True):
        FlinkApplication(
            f"{name}-{agent.name}",
            FlinkApplicationArgs(
                deployment=deployment,
                agent=agent,
                image=images.at(DIGEST),
                cluster_name=cluster.name,
                namespace=jobs.namespace,
                operator_namespace="flink-operator",
                kafka=AgentKafka(
                    cluster_arn=kafka.cluster_arn,
                    bootstrap_servers=kafka.bootstrap_servers,
                    cidrs=plan.network.private_subnets,
                ),
                state=StateBuckets(
                    names=storage.bucket_names, arns=storage.bucket_arns, key_arn=storage.key_arn
                ),
                tags=TAGS,
                model_key=SecretKey(secret="models", key=agent.name),
            ),
            pulumi.ResourceOptions(provider=cluster.provider, depends_on=[operator, *kafka.topics.values()]),
        )


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    file = tmp_path / "debezium.zip"
    file.write_bytes(b"a plugin")
    return file


@pytest.fixture
def stack(archive: Path) -> Registered:
    return built(lambda: environment("dev", planned(), archive))


def test_each_is_built_of_what_the_one_before_it_gives(stack: Registered) -> None:
    assert_house_rules(stack, "dev")
    subnets = ["dev-private-0", "dev-private-1", "dev-private-2"]
    brokers = inputs(stack, "aws:msk/cluster:Cluster", "dev-kafka")
    assert brokers["brokerNodeGroupInfo"]["clientSubnets"] == subnets
    connector = inputs(stack, CONNECTOR, "dev-support")["kafkaCluster"]["apacheKafkaCluster"]
    assert connector["vpc"]["subnets"] == subnets
    assert connector["vpc"]["securityGroups"] == ["dev-support-connector", "dev-kafka-clients"]
    assert connector["bootstrapServers"] == "b-1.example:9098,b-2.example:9098"
    assert inputs(stack, "aws:eks/cluster:Cluster", "dev-cluster")["vpcConfig"]["subnetIds"] == subnets
    (upload,) = (found["inputs"] for key, found in stack.items() if "bucketObjectv2" in key)
    assert upload["bucket"] == "dev-artifacts"


def test_a_connector_waits_for_its_topics(stack: Registered) -> None:
    capture = stack["headrace:aws:ChangeCapture dev"]
    assert set(capture["depends_on"]) >= {f"dev-{topic.name}" for topic in planned().topics}


def test_agents_run_on_what_the_others_give(stack: Registered) -> None:
    for agent in planned().agents:
        told = inputs(stack, FLINK, f"dev-{agent.name}")["spec"]
        assert told["image"] == f"registry.example/dev-agents@{DIGEST}"
        assert told["flinkConfiguration"]["execution.checkpointing.dir"] == (
            f"s3://dev-checkpoints/{agent.name}"
        )
        job = json.loads(told["jobManager"]["podTemplate"]["metadata"]["annotations"]["headrace.dev/job"])
        assert job["kafka"]["bootstrap_servers"] == "b-1.example:9098,b-2.example:9098"
    _names, control_plane, _flink = inputs(stack, POLICY, "dev-operator")["spec"]["egress"]
    assert {"ipBlock": {"cidr": "172.20.0.0/16"}} in control_plane["to"]
    nodes = inputs(stack, "kubernetes:eks.amazonaws.com/v1:NodeClass", "dev-nodes-class")["spec"]
    assert {"id": "dev-kafka-clients"} in nodes["securityGroupSelectorTerms"]


def test_an_agent_waits_for_the_operator_and_its_topics(stack: Registered) -> None:
    for agent in planned().agents:
        needs = stack[f"headrace:aws:FlinkApplication dev-{agent.name}"]["depends_on"]
        assert {"dev-operator", *(f"dev-{topic.name}" for topic in planned().topics)} <= set(needs)


def test_everything_that_is_protected_holds_data_or_its_key(stack: Registered) -> None:
    assert {key.split()[0] for key, found in stack.items() if found.get("protected")} == {
        "aws:s3/bucket:Bucket",
        "aws:kms/key:Key",
        "aws:msk/cluster:Cluster",
        "aws:msk/topic:Topic",
        "aws:eks/cluster:Cluster",
        "aws:ecr/repository:Repository",
    }


def test_nothing_lets_the_world_in(stack: Registered) -> None:
    ways_in = {
        key.split()[1]: found["inputs"].get("cidrIpv4")
        for key, found in stack.items()
        if "IngressRule" in key
    }
    assert ways_in == {"dev-endpoints": "10.0.0.0/16", "dev-kafka": None}
