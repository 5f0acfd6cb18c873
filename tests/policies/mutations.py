"""Changes of the recorded production stack for the worse, each by the rule that owns it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

Resources = tuple[tuple[str, str, dict[str, Any]], ...]
"""Type, name and properties of each resource of a stack."""
Change = Callable[[Resources], Resources]
Edit = Callable[[dict[str, Any]], None]
CLUSTER, BROKERS = "aws:eks/cluster:Cluster", "aws:msk/cluster:Cluster"
CONNECTOR, TOPIC = "aws:mskconnect/connector:Connector", "aws:msk/topic:Topic"
FLINK = "kubernetes:flink.apache.org/v1beta1:FlinkDeployment"
DAEMONS, POLICIES = "kubernetes:apps/v1:DaemonSet", "kubernetes:networking.k8s.io/v1:NetworkPolicy"
ROLE_POLICY, ROLE = "aws:iam/rolePolicy:RolePolicy", "aws:iam/role:Role"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
SUBNET = "aws:ec2/subnet:Subnet"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
JOB = "headrace.dev/job"


def put(*path: str | int, to: Any) -> Edit:
    def edit(properties: dict[str, Any]) -> None:
        inside: Any = properties
        for step in path[:-1]:
            inside = inside[step]
        inside[path[-1]] = to

    return edit


def grant(**statement: Any) -> Edit:
    """One more statement in its policy."""

    def edit(properties: dict[str, Any]) -> None:
        document = json.loads(properties["policy"])
        document["Statement"].append({"Effect": "Allow"} | statement)
        properties["policy"] = json.dumps(document)

    return edit


def without_denials(properties: dict[str, Any]) -> None:
    document = json.loads(properties["policy"])
    document["Statement"] = [each for each in document["Statement"] if each["Effect"] != "Deny"]
    properties["policy"] = json.dumps(document)


def job(*path: str, to: Any) -> Edit:
    """Of the specification of an agent's job."""

    def edit(properties: dict[str, Any]) -> None:
        annotations = properties["spec"]["jobManager"]["podTemplate"]["metadata"]["annotations"]
        spec = json.loads(annotations[JOB])
        put(*path, to=to)(spec)
        annotations[JOB] = json.dumps(spec)

    return edit


def short_transactions(properties: dict[str, Any]) -> None:
    lines = properties["serverProperties"].splitlines()
    kept = [line for line in lines if not line.startswith("transaction.max.timeout.ms")]
    properties["serverProperties"] = "\n".join([*kept, "transaction.max.timeout.ms=60000"])


def ageing(properties: dict[str, Any]) -> None:
    age = {"id": "old", "status": "Enabled", "filter": {"prefix": ""}, "expiration": {"days": 30}}
    properties["rules"] = [*properties["rules"], age]


def changed(kind: str, name: str, *edits: Edit) -> Change:
    """One resource of the stack, after `edits`."""

    def change(resources: Resources) -> Resources:
        assert any((each[0], each[1]) == (kind, name) for each in resources), (kind, name)
        made = []
        for resource in resources:
            if (resource[0], resource[1]) == (kind, name):
                properties = copy.deepcopy(resource[2])
                for edit in edits:
                    edit(properties)
                made.append((kind, name, properties))
            else:
                made.append(resource)
        return tuple(made)

    return change


def removed(kind: str, *names: str) -> Change:
    def change(resources: Resources) -> Resources:
        kept = tuple(each for each in resources if not (each[0] == kind and each[1] in names))
        assert len(kept) == len(resources) - len(names)
        return kept

    return change


PUBLIC = put("vpcConfig", "endpointPublicAccess", to=True)
EVERYBODY = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
OTHERS = {"AWS": "arn:aws:iam::444455556666:root"}
IDENTITY = "prod-support-triage-identity"
ALL_KEYS = "arn:aws:kms:eu-central-1:111122223333:key/*"
CHANGES: dict[str, Change] = {
    "EKS.1": changed(
        CLUSTER, "prod-cluster", PUBLIC, put("vpcConfig", "publicAccessCidrs", to=["198.51.100.0/24"])
    ),
    "CKV_AWS_38": changed(
        CLUSTER, "prod-cluster", PUBLIC, put("vpcConfig", "publicAccessCidrs", to=["0.0.0.0/0"])
    ),
    "EKS.2": changed(CLUSTER, "prod-cluster", put("version", to="1.27")),
    "EKS.3": changed(CLUSTER, "prod-cluster", put("encryptionConfig", to=None)),
    "EKS.8": changed(
        CLUSTER,
        "prod-cluster",
        put("enabledClusterLogTypes", to=["api", "authenticator", "controllerManager", "scheduler"]),
    ),
    "CKV_AWS_37": changed(CLUSTER, "prod-cluster", put("enabledClusterLogTypes", to=["api", "audit"])),
    "CIS-5.4.3": changed(SUBNET, "prod-private-0", put("mapPublicIpOnLaunch", to=True)),
    "CIS-4.2.1": changed(
        DAEMONS,
        "prod-collector",
        put("spec", "template", "spec", "containers", 0, "securityContext", "privileged", to=True),
    ),
    "CIS-5.2.1": changed(FLINK, "prod-order-risk", put("spec", "serviceAccount", to="default")),
    "CIS-5.4.4": removed(
        POLICIES, "prod-collector-closed", "prod-collector-collector", "prod-support-slot-watch"
    ),
    "MSK.1": changed(
        BROKERS, "prod-kafka", put("encryptionInfo", "encryptionInTransit", "inCluster", to=False)
    ),
    "nag-MSK2": changed(
        BROKERS,
        "prod-kafka",
        put("encryptionInfo", "encryptionInTransit", "clientBroker", to="TLS_PLAINTEXT"),
    ),
    "MSK.2": changed(BROKERS, "prod-kafka", put("enhancedMonitoring", to="DEFAULT")),
    "MSK.3": changed(
        CONNECTOR, "prod-support", put("kafkaClusterEncryptionInTransit", "encryptionType", to="PLAINTEXT")
    ),
    "MSK.4": changed(
        BROKERS,
        "prod-kafka",
        put("brokerNodeGroupInfo", "connectivityInfo", "publicAccess", "type", to="SERVICE_PROVIDED_EIPS"),
    ),
    "MSK.5": changed(CONNECTOR, "prod-support", put("logDelivery", to=None)),
    "MSK.6": changed(BROKERS, "prod-kafka", put("clientAuthentication", "unauthenticated", to=True)),
    "CKV_AWS_80": changed(
        BROKERS, "prod-kafka", put("loggingInfo", "brokerLogs", "cloudwatchLogs", "enabled", to=False)
    ),
    "S3.1": changed(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "prod-savepoints",
        put("blockPublicPolicy", to=False),
    ),
    "S3.5": changed(BUCKET_POLICY, "prod-savepoints", without_denials),
    "S3.6": changed(
        BUCKET_POLICY,
        "prod-savepoints",
        grant(Principal=OTHERS, Action="s3:PutBucketPolicy", Resource="arn:aws:s3:::prod-savepoints"),
    ),
    "S3.9": removed("aws:s3/bucketLogging:BucketLogging", "prod-checkpoints"),
    "S3.12": changed(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "prod-artifacts",
        put("rule", "objectOwnership", to="ObjectWriter"),
    ),
    "CKV_AWS_70": changed(
        BUCKET_POLICY,
        "prod-artifacts",
        grant(Principal="*", Action="s3:GetObject", Resource="arn:aws:s3:::prod-artifacts/*"),
    ),
    "S3.13": changed(LIFECYCLE, "prod-checkpoints", put("rules", to=[])),
    "S3.14": changed(
        "aws:s3/bucketVersioning:BucketVersioning",
        "prod-artifacts",
        put("versioningConfiguration", "status", to="Suspended"),
    ),
    "S3.17": changed(
        ENCRYPTION,
        "prod-checkpoints",
        put("rules", 0, "applyServerSideEncryptionByDefault", "sseAlgorithm", to="AES256"),
    ),
    "IAM.1": changed(ROLE_POLICY, IDENTITY, grant(Action="*", Resource="*")),
    "IAM.21": changed(ROLE_POLICY, IDENTITY, grant(Action="s3:*", Resource="arn:aws:s3:::prod-checkpoints")),
    "CKV_AWS_60": changed(ROLE, "prod-cluster-node", put("assumeRolePolicy", to=json.dumps(EVERYBODY))),
    "CKV_AWS_286": changed(ROLE_POLICY, IDENTITY, grant(Action=["iam:PutRolePolicy"], Resource="*")),
    "CKV_AWS_355": changed(ROLE_POLICY, IDENTITY, grant(Action=["s3:GetObject"], Resource="*")),
    "KMS.1": changed(ROLE_POLICY, IDENTITY, grant(Action=["kms:Decrypt"], Resource=ALL_KEYS)),
    "KMS.4": changed("aws:kms/key:Key", "prod-state", put("enableKeyRotation", to=False)),
    "KMS.5": changed(
        "aws:kms/keyPolicy:KeyPolicy", "prod-state", grant(Principal="*", Action="kms:*", Resource="*")
    ),
    "EC2.6": removed("aws:ec2/flowLog:FlowLog", "prod-flow-logs"),
    "EC2.18": changed(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "prod-kafka",
        put("cidrIpv4", to="0.0.0.0/0"),
    ),
    "HR-CKPT-1": changed(LIFECYCLE, "prod-checkpoints", ageing),
    "HR-CKPT-2": changed(
        FLINK,
        "prod-order-risk",
        put(
            "spec",
            "flinkConfiguration",
            "execution.checkpointing.externalized-checkpoint-retention",
            to="DELETE_ON_CANCELLATION",
        ),
    ),
    "HR-CKPT-3": changed("aws:msk/configuration:Configuration", "prod-kafka", short_transactions),
    "HR-FLINK-1": changed(
        FLINK, "prod-order-risk", put("spec", "flinkConfiguration", "pipeline.max-parallelism", to="1")
    ),
    "HR-FLINK-2": changed(FLINK, "prod-order-risk", put("spec", "job", "upgradeMode", to="stateless")),
    "HR-FLINK-3": changed(
        FLINK,
        "prod-order-risk",
        put(
            "spec",
            "jobManager",
            "podTemplate",
            "spec",
            "nodeSelector",
            "karpenter.sh/capacity-type",
            to="spot",
        ),
    ),
    "HR-KAFKA-1": changed(TOPIC, "prod-order-risk.decisions", put("replicationFactor", to=1)),
    "HR-CDC-1": changed(
        CONNECTOR, "prod-support", put("connectorConfiguration", "heartbeat.interval.ms", to="0")
    ),
    "HR-CDC-2": changed(
        CONNECTOR, "prod-support", put("connectorConfiguration", "database.password", to="hunter2")
    ),
    "HR-AGENT-1": changed(FLINK, "prod-order-risk", job("model", "budget", to=None)),
    "HR-AGENT-2": changed(FLINK, "prod-order-risk", job("model", "endpoint", to="http://models.example/v1")),
    "HR-TAG-1": changed("aws:kms/key:Key", "prod-state", put("tags", to={"environment": "prod"})),
}
"""By the rule that owns it: one change of the recorded production stack."""
ALSO = {"CKV_AWS_38": {"EKS.1"}, "EKS.8": {"CKV_AWS_37"}, "IAM.1": {"CKV_AWS_355", "KMS.1", "CKV_AWS_286"}}
"""Rules about the same fact from another side: a part of it, or a wider one."""
