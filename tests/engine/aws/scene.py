"""One resource of each kind that the stand-in for AWS knows, with a change of it.

``${name.output}`` is another's output; ``${name.id}`` its id.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.standins.values import Values

REGION = "eu-central-1"
TAGS = {"environment": "dev", "owner": "data", "cost-centre": "4711"}
RETAGGED = {"environment": "dev", "owner": "platform"}
REFERENCE = re.compile(r"\$\{([\w-]+)\.(\w+(?:\.\w+)?)\}")
ASSET = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17"}
"""How the engine marks a file among values."""


UNTAGGED_GO = {
    "rulePriority": 1,
    "selection": {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 7,
    },
    "action": {"type": "expire"},
}


@dataclass(frozen=True)
class Part:
    """A resource of the scene."""

    type: str
    inputs: Values
    change: Values = field(default_factory=dict)
    """Inputs that then change in place; none: what can change of it replaces it."""
    needs: tuple[str, ...] = ()
    """Others that have to be there, and that its inputs do not name."""

    @property
    def refers_to(self) -> list[str]:
        return [*self.needs, *(name for name, _ in REFERENCE.findall(json.dumps(self.inputs)))]


def document(**further: Any) -> str:
    """A policy of one statement."""
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"} | further
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust() -> str:
    service = {"Service": "codebuild.amazonaws.com"}
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": service}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def scene(archive: Path) -> dict[str, Part]:
    """By a name of its own; `archive` is a file to upload."""
    return _network() | _buckets(archive) | _identity() | _watching() | _platform()


def _network() -> dict[str, Part]:
    rule = {
        "securityGroupId": "${group.id}",
        "ipProtocol": "tcp",
        "fromPort": 443,
        "toPort": 443,
        "description": "HTTPS",
        "tags": TAGS,
    }
    return {
        "vpc": Part(
            "aws:ec2/vpc:Vpc",
            {"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": True, "enableDnsSupport": True, "tags": TAGS},
            {"enableDnsHostnames": False, "tags": RETAGGED},
        ),
        "default": Part(
            "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
            {"vpcId": "${vpc.id}", "ingress": [], "egress": [], "tags": TAGS},
            {"tags": RETAGGED},
        ),
        "subnet": Part(
            "aws:ec2/subnet:Subnet",
            {
                "vpcId": "${vpc.id}",
                "cidrBlock": "10.0.1.0/24",
                "availabilityZone": f"{REGION}a",
                "mapPublicIpOnLaunch": False,
                "tags": TAGS,
            },
            {"mapPublicIpOnLaunch": True, "tags": RETAGGED},
        ),
        "other-subnet": Part(
            "aws:ec2/subnet:Subnet",
            {
                "vpcId": "${vpc.id}",
                "cidrBlock": "10.0.2.0/24",
                "availabilityZone": f"{REGION}b",
                "tags": TAGS,
            },
            {"tags": RETAGGED},
        ),
        "third-subnet": Part(
            "aws:ec2/subnet:Subnet",
            {"vpcId": "${vpc.id}", "cidrBlock": "10.0.3.0/24", "availabilityZone": f"{REGION}c"},
            {"tags": RETAGGED},
        ),
        "internet": Part(
            "aws:ec2/internetGateway:InternetGateway",
            {"vpcId": "${vpc.id}", "tags": TAGS},
            {"tags": RETAGGED},
        ),
        "table": Part(
            "aws:ec2/routeTable:RouteTable", {"vpcId": "${vpc.id}", "tags": TAGS}, {"tags": RETAGGED}
        ),
        "association": Part(
            "aws:ec2/routeTableAssociation:RouteTableAssociation",
            {"subnetId": "${subnet.id}", "routeTableId": "${table.id}"},
        ),
        "route": Part(
            "aws:ec2/route:Route",
            {
                "routeTableId": "${table.id}",
                "destinationCidrBlock": "0.0.0.0/0",
                "gatewayId": "${internet.id}",
            },
        ),
        "address": Part("aws:ec2/eip:Eip", {"domain": "vpc", "tags": TAGS}, {"tags": RETAGGED}),
        "nat": Part(
            "aws:ec2/natGateway:NatGateway",
            {"allocationId": "${address.id}", "subnetId": "${subnet.id}", "tags": TAGS},
            {"tags": RETAGGED},
        ),
        "group": Part(
            "aws:ec2/securityGroup:SecurityGroup",
            {"description": "Of a test", "vpcId": "${vpc.id}", "tags": TAGS},
            {"tags": RETAGGED},
        ),
        "ingress": Part(
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            rule | {"cidrIpv4": "10.0.0.0/16"},
            {"tags": RETAGGED},
        ),
        "egress": Part(
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
            rule | {"referencedSecurityGroupId": "${group.id}"},
            {"tags": RETAGGED},
        ),
        "endpoint": Part(
            "aws:ec2/vpcEndpoint:VpcEndpoint",
            {
                "vpcId": "${vpc.id}",
                "serviceName": f"com.amazonaws.{REGION}.s3",
                "vpcEndpointType": "Gateway",
                "routeTableIds": ["${table.id}"],
                "tags": TAGS,
            },
            {"tags": RETAGGED},
        ),
        "flow": Part(
            "aws:ec2/flowLog:FlowLog",
            {
                "vpcId": "${vpc.id}",
                "trafficType": "ALL",
                "logDestination": "${logs.arn}",
                "iamRoleArn": "${role.arn}",
                "maxAggregationInterval": 60,
                "tags": TAGS,
            },
            {"tags": RETAGGED},
        ),
    }


def _buckets(archive: Path) -> dict[str, Part]:
    def rules(days: int) -> list[Values]:
        return [
            {
                "id": "age",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "expiration": {"days": days},
            },
            {
                "id": "uploads",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
            },
        ]

    of_bucket = {"bucket": "${bucket.bucket}"}
    encryption = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "${key.arn}"}
    return {
        "bucket": Part("aws:s3/bucket:Bucket", {"forceDestroy": True, "tags": TAGS}, {"tags": RETAGGED}),
        "bucket-policy": Part(
            "aws:s3/bucketPolicy:BucketPolicy",
            of_bucket | {"policy": document(Principal="*")},
            {"policy": document(Principal="*", Effect="Deny")},
        ),
        "block": Part(
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            of_bucket
            | {
                "blockPublicAcls": True,
                "blockPublicPolicy": True,
                "ignorePublicAcls": True,
                "restrictPublicBuckets": True,
            },
            {"blockPublicAcls": False},
        ),
        "ownership": Part(
            "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
            of_bucket | {"rule": {"objectOwnership": "BucketOwnerEnforced"}},
            {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
        ),
        "versioning": Part(
            "aws:s3/bucketVersioning:BucketVersioning",
            of_bucket | {"versioningConfiguration": {"status": "Enabled"}},
            {"versioningConfiguration": {"status": "Suspended"}},
        ),
        "logging": Part(
            "aws:s3/bucketLogging:BucketLogging",
            of_bucket | {"targetBucket": "${bucket.bucket}", "targetPrefix": "a/"},
            {"targetPrefix": "b/"},
            needs=("log-delivery",),
        ),
        "log-delivery": Part(
            "aws:s3/bucketPolicy:BucketPolicy",
            of_bucket
            | {
                "policy": document(
                    Principal={"Service": "logging.s3.amazonaws.com"},
                    Action="s3:PutObject",
                    Resource="${bucket.arn}/*",
                )
            },
            {"policy": document(Principal="*")},
        ),
        "encryption": Part(
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            of_bucket
            | {"rules": [{"applyServerSideEncryptionByDefault": encryption, "bucketKeyEnabled": True}]},
            {
                "rules": [
                    {
                        "applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"},
                        "bucketKeyEnabled": False,
                    }
                ]
            },
        ),
        "lifecycle": Part(
            "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            of_bucket | {"rules": rules(7)},
            {"rules": rules(30)},
        ),
        "object": Part(
            "aws:s3/bucketObjectv2:BucketObjectv2",
            of_bucket
            | {
                "key": "plugins/debezium.zip",
                "source": {**ASSET, "path": str(archive), "hash": "0"},
                "sourceHash": "1",
                "checksumAlgorithm": "SHA256",
                "tags": TAGS,
            },
            {"sourceHash": "2", "tags": RETAGGED},
        ),
    }


def _identity() -> dict[str, Part]:
    return {
        "role": Part("aws:iam/role:Role", {"assumeRolePolicy": trust(), "tags": TAGS}, {"tags": RETAGGED}),
        "role-policy": Part(
            "aws:iam/rolePolicy:RolePolicy",
            {"role": "${role.name}", "policy": document()},
            {"policy": document(Effect="Deny")},
        ),
        "policy": Part(
            "aws:iam/policy:Policy",
            {"description": "Of a test", "policy": document(), "tags": TAGS},
            {"policy": document(Effect="Deny"), "tags": RETAGGED},
        ),
        "attachment": Part(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            {"role": "${role.name}", "policyArn": "${policy.arn}"},
        ),
        "key": Part(
            "aws:kms/key:Key",
            {"description": "Of a test", "enableKeyRotation": True, "deletionWindowInDays": 30, "tags": TAGS},
            {"description": "Of another", "enableKeyRotation": False, "tags": RETAGGED},
        ),
        "alias": Part("aws:kms/alias:Alias", {"targetKeyId": "${key.keyId}"}),
        "key-policy": Part(
            "aws:kms/keyPolicy:KeyPolicy",
            {"keyId": "${key.keyId}", "policy": document(Action="kms:*", Principal="*")},
            {"policy": document(Action="kms:Decrypt", Principal="*")},
        ),
    }


def _watching() -> dict[str, Part]:
    return {
        "logs": Part(
            "aws:cloudwatch/logGroup:LogGroup",
            {"retentionInDays": 7, "tags": TAGS},
            {"retentionInDays": 30, "tags": RETAGGED},
        ),
        "prefixed-logs": Part(
            "aws:cloudwatch/logGroup:LogGroup",
            {"namePrefix": "/aws/vendedlogs/prometheus/dev-", "retentionInDays": 7},
            {"retentionInDays": 30},
        ),
        "alarm": Part(
            "aws:cloudwatch/metricAlarm:MetricAlarm",
            {
                "alarmDescription": "Of a test",
                "namespace": "AWS/Kafka",
                "metricName": "ActiveControllerCount",
                "dimensions": {"Cluster Name": "dev"},
                "statistic": "Maximum",
                "period": 60,
                "evaluationPeriods": 5,
                "threshold": 1,
                "comparisonOperator": "LessThanThreshold",
                "treatMissingData": "breaching",
                "alarmActions": ["${topic.arn}"],
                "okActions": ["${topic.arn}"],
                "tags": TAGS,
            },
            {"threshold": 2},
        ),
        "dashboard": Part(
            "aws:cloudwatch/dashboard:Dashboard",
            {"dashboardName": "dev", "dashboardBody": json.dumps({"widgets": []})},
            {"dashboardBody": json.dumps({"start": "-PT6H", "widgets": []})},
        ),
        "topic": Part(
            "aws:sns/topic:Topic",
            {"kmsMasterKeyId": "${key.arn}", "tags": TAGS},
            {"tags": RETAGGED},
        ),
        "topic-policy": Part(
            "aws:sns/topicPolicy:TopicPolicy",
            {"arn": "${topic.arn}", "policy": document(Action="sns:Publish", Principal="*")},
            {"policy": document(Action="sns:Publish", Principal="*", Effect="Deny")},
        ),
        "subscription": Part(
            "aws:sns/topicSubscription:TopicSubscription",
            {"topic": "${topic.arn}", "protocol": "email", "endpoint": "oncall@example.com"},
        ),
        "word": Part(
            "aws:ssm/parameter:Parameter",
            {"name": "/headrace/dev/foundation", "type": "String", "insecureValue": "{}", "tags": TAGS},
            {"insecureValue": "[]", "tags": RETAGGED},
        ),
        "workspace": Part(
            "aws:amp/workspace:Workspace",
            {
                "alias": "dev",
                "kmsKeyArn": "${key.arn}",
                "loggingConfiguration": {"logGroupArn": "${logs.arn}:*"},
                "tags": TAGS,
            },
            {"alias": "dev-1", "tags": RETAGGED},
        ),
        "rules": Part(
            "aws:amp/ruleGroupNamespace:RuleGroupNamespace",
            {"name": "headrace", "workspaceId": "${workspace.id}", "data": "groups: []\n"},
            {"data": "groups:\n- name: a\n  rules: []\n"},
        ),
        "alerts": Part(
            "aws:amp/alertManagerDefinition:AlertManagerDefinition",
            {"workspaceId": "${workspace.id}", "definition": "alertmanager_config: ''\n"},
            {"definition": "alertmanager_config: '{}'\n"},
        ),
        "scraper": Part(
            "aws:amp/scraper:Scraper",
            {
                "alias": "dev",
                "source": {"eks": {"clusterArn": "${cluster.arn}", "subnetIds": ["${subnet.id}"]}},
                "destination": {"amp": {"workspaceArn": "${workspace.arn}"}},
                "scrapeConfiguration": "scrape_configs: []\n",
                "tags": TAGS,
            },
            {"scrapeConfiguration": "global: {}\nscrape_configs: []\n"},
        ),
    }


def _platform() -> dict[str, Part]:
    nodes = {
        "instanceType": "kafka.m7g.large",
        "clientSubnets": ["${subnet.id}", "${other-subnet.id}"],
        "securityGroups": ["${group.id}"],
        "storageInfo": {"ebsStorageInfo": {"volumeSize": 100}},
    }
    scaled = {
        "serviceNamespace": "kafka",
        "scalableDimension": "kafka:broker-storage:VolumeSize",
    }

    def tracking(percent: int) -> Values:
        return {
            "targetValue": percent,
            "disableScaleIn": True,
            "predefinedMetricSpecification": {"predefinedMetricType": "KafkaBrokerStorageUtilization"},
        }

    return {
        "images": Part(
            "aws:ecr/repository:Repository",
            {
                "name": "headrace/dev/dev",
                "imageTagMutability": "IMMUTABLE",
                "imageScanningConfiguration": {"scanOnPush": True},
                "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": "${key.arn}"}],
                "forceDelete": True,
                "tags": TAGS,
            },
            {"imageScanningConfiguration": {"scanOnPush": False}, "tags": RETAGGED},
        ),
        "images-lifecycle": Part(
            "aws:ecr/lifecyclePolicy:LifecyclePolicy",
            {"repository": "${images.name}", "policy": json.dumps({"rules": [UNTAGGED_GO]})},
        ),
        "cluster": Part(
            "aws:eks/cluster:Cluster",
            {
                "name": "headrace-dev",
                "version": "1.33",
                "roleArn": "${role.arn}",
                "vpcConfig": {
                    "subnetIds": ["${subnet.id}", "${other-subnet.id}"],
                    "endpointPrivateAccess": True,
                    "endpointPublicAccess": False,
                },
                "accessConfig": {"authenticationMode": "API"},
                "computeConfig": {"enabled": True},
                "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": True}},
                "encryptionConfig": {"provider": {"keyArn": "${key.arn}"}, "resources": ["secrets"]},
                "deletionProtection": False,
                "tags": TAGS,
            },
            {"upgradePolicy": {"supportType": "STANDARD"}, "tags": RETAGGED},
        ),
        "access": Part(
            "aws:eks/accessEntry:AccessEntry",
            {"clusterName": "${cluster.name}", "principalArn": "${role.arn}", "type": "STANDARD"},
            {"tags": RETAGGED},
        ),
        "access-policy": Part(
            "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
            {
                "clusterName": "${cluster.name}",
                "principalArn": "${access.principalArn}",
                "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
                "accessScope": {"type": "cluster"},
            },
        ),
        "pod-identity": Part(
            "aws:eks/podIdentityAssociation:PodIdentityAssociation",
            {
                "clusterName": "${cluster.name}",
                "namespace": "flink",
                "serviceAccount": "support",
                "roleArn": "${role.arn}",
                "tags": TAGS,
            },
            {"tags": RETAGGED},
        ),
        "configuration": Part(
            "aws:msk/configuration:Configuration",
            {"kafkaVersions": ["3.9.x"], "serverProperties": "auto.create.topics.enable=false\n"},
            {"serverProperties": "auto.create.topics.enable=false\nnum.io.threads=8\n"},
        ),
        "brokers": Part(
            "aws:msk/cluster:Cluster",
            {
                "kafkaVersion": "3.9.x",
                "numberOfBrokerNodes": 2,
                "brokerNodeGroupInfo": nodes,
                "configurationInfo": {
                    "arn": "${configuration.arn}",
                    "revision": "${configuration.latestRevision}",
                },
                "clientAuthentication": {"sasl": {"iam": True, "scram": False}, "unauthenticated": False},
                "tags": TAGS,
            },
            {"enhancedMonitoring": "PER_BROKER", "tags": RETAGGED},
        ),
        "events": Part(
            "aws:msk/topic:Topic",
            {
                "name": "orders",
                "clusterArn": "${brokers.arn}",
                "partitionCount": 6,
                "replicationFactor": 2,
                "configs": json.dumps({"retention.ms": "1"}),
            },
            {"partitionCount": 12},
        ),
        "plugin": Part(
            "aws:mskconnect/customPlugin:CustomPlugin",
            {
                "contentType": "ZIP",
                "location": {
                    "s3": {
                        "bucketArn": "${bucket.arn}",
                        "fileKey": "${object.key}",
                        "objectVersion": "${object.versionId}",
                    }
                },
                "tags": TAGS,
            },
            {"tags": RETAGGED},
            needs=("versioning",),
        ),
        "workers": Part(
            "aws:mskconnect/workerConfiguration:WorkerConfiguration",
            {"propertiesFileContent": "offset.storage.topic=offsets\n", "tags": TAGS},
            {"tags": RETAGGED},
        ),
        "connector": Part(
            "aws:mskconnect/connector:Connector",
            {
                "name": "orders",
                "kafkaconnectVersion": "3.7.x",
                "capacity": {"provisionedCapacity": {"mcuCount": 1, "workerCount": 1}},
                "connectorConfiguration": {"tasks.max": "1"},
                "kafkaCluster": {
                    "apacheKafkaCluster": {
                        "bootstrapServers": "${brokers.bootstrapBrokersSaslIam}",
                        "vpc": {"subnets": ["${subnet.id}"], "securityGroups": ["${group.id}"]},
                    }
                },
                "kafkaClusterClientAuthentication": {"authenticationType": "IAM"},
                "kafkaClusterEncryptionInTransit": {"encryptionType": "TLS"},
                "plugins": [{"customPlugin": {"arn": "${plugin.arn}", "revision": 1}}],
                "workerConfiguration": {"arn": "${workers.arn}", "revision": 1},
                "serviceExecutionRoleArn": "${role.arn}",
                "tags": TAGS,
            },
            {"capacity": {"provisionedCapacity": {"mcuCount": 2, "workerCount": 1}}},
        ),
        "storage": Part(
            "aws:appautoscaling/target:Target",
            scaled | {"resourceId": "${brokers.arn}", "minCapacity": 1, "maxCapacity": 100, "tags": TAGS},
            {"maxCapacity": 200},
        ),
        "growth": Part(
            "aws:appautoscaling/policy:Policy",
            scaled
            | {
                "resourceId": "${storage.resourceId}",
                "policyType": "TargetTrackingScaling",
                "targetTrackingScalingPolicyConfiguration": tracking(60),
            },
            {"targetTrackingScalingPolicyConfiguration": tracking(70)},
        ),
        "runner": Part(
            "aws:codebuild/project:Project",
            {
                "serviceRole": "${role.arn}",
                "source": {"type": "S3", "location": "${bucket.bucket}/program.zip"},
                "artifacts": {"type": "NO_ARTIFACTS"},
                "environment": {
                    "type": "LINUX_CONTAINER",
                    "computeType": "BUILD_GENERAL1_SMALL",
                    "image": "aws/codebuild/standard:7.0",
                },
                "vpcConfig": {
                    "vpcId": "${vpc.id}",
                    "subnets": ["${subnet.id}"],
                    "securityGroupIds": ["${group.id}"],
                },
                "tags": TAGS,
            },
            {"buildTimeout": 60, "tags": RETAGGED},
        ),
    }
