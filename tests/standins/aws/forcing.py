"""Inputs whose change makes another resource, by type.

The Python package of pulumi-aws carries no schema that would say so. These are arguments that
terraform-provider-aws, which the real provider is made of, marks ``ForceNew`` (or ``RequiresReplace``), for
the types and inputs that components here use. Those of MSK's and EKS's clusters and of connectors were
compared with its source (a connector's configuration changes in place since its pull request 41706); the
others are written down from its documentation, and nothing here proves them.
"""

from __future__ import annotations

from collections.abc import Sequence

FORCING: dict[str, tuple[str, ...]] = {
    "aws:amp/alertManagerDefinition:AlertManagerDefinition": ("workspaceId",),
    "aws:amp/ruleGroupNamespace:RuleGroupNamespace": ("name", "workspaceId"),
    "aws:amp/scraper:Scraper": ("source",),
    "aws:amp/workspace:Workspace": ("kmsKeyArn",),
    "aws:appautoscaling/policy:Policy": ("name", "resourceId", "scalableDimension", "serviceNamespace"),
    "aws:appautoscaling/target:Target": ("resourceId", "scalableDimension", "serviceNamespace"),
    "aws:cloudwatch/dashboard:Dashboard": ("dashboardName",),
    "aws:cloudwatch/logGroup:LogGroup": ("name", "namePrefix", "logGroupClass"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("name",),
    "aws:codebuild/project:Project": ("name",),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": ("vpcId",),
    "aws:ec2/eip:Eip": ("domain", "networkBorderGroup"),
    "aws:ec2/flowLog:FlowLog": (
        "vpcId", "iamRoleArn", "logDestination", "logDestinationType", "logFormat",
        "maxAggregationInterval", "trafficType",
    ),
    "aws:ec2/internetGateway:InternetGateway": (),
    "aws:ec2/natGateway:NatGateway": ("allocationId", "connectivityType", "privateIp", "subnetId"),
    "aws:ec2/route:Route": ("routeTableId", "destinationCidrBlock"),
    "aws:ec2/routeTable:RouteTable": ("vpcId",),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": ("subnetId",),
    "aws:ec2/securityGroup:SecurityGroup": ("description", "name", "namePrefix", "vpcId"),
    "aws:ec2/subnet:Subnet": ("availabilityZone", "cidrBlock", "vpcId"),
    "aws:ec2/vpc:Vpc": ("cidrBlock",),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ("serviceName", "serviceRegion", "vpcEndpointType", "vpcId"),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": ("policy", "repository"),
    "aws:ecr/repository:Repository": ("encryptionConfigurations", "name"),
    "aws:eks/accessEntry:AccessEntry": ("clusterName", "principalArn", "type"),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": (
        "accessScope", "clusterName", "policyArn", "principalArn",
    ),
    "aws:eks/cluster:Cluster": (
        "accessConfig.bootstrapClusterCreatorAdminPermissions", "bootstrapSelfManagedAddons",
        "kubernetesNetworkConfig.ipFamily", "kubernetesNetworkConfig.serviceIpv4Cidr",
        "name", "roleArn",
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": (
        "clusterName", "namespace", "serviceAccount",
    ),
    "aws:iam/policy:Policy": ("description", "name", "namePrefix", "path"),
    "aws:iam/role:Role": ("name", "namePrefix", "path"),
    "aws:iam/rolePolicy:RolePolicy": ("name", "namePrefix", "role"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("policyArn", "role"),
    "aws:kms/alias:Alias": ("name", "namePrefix"),
    "aws:kms/key:Key": ("customerMasterKeySpec", "keyUsage", "multiRegion", "customKeyStoreId", "xksKeyId"),
    "aws:kms/keyPolicy:KeyPolicy": ("keyId",),
    "aws:msk/cluster:Cluster": (
        "brokerNodeGroupInfo.azDistribution", "brokerNodeGroupInfo.clientSubnets",
        "brokerNodeGroupInfo.securityGroups", "clusterName",
        "encryptionInfo.encryptionAtRestKmsKeyArn", "encryptionInfo.encryptionInTransit.inCluster",
    ),
    "aws:msk/configuration:Configuration": ("kafkaVersions", "name"),
    "aws:msk/topic:Topic": ("clusterArn", "name", "replicationFactor"),
    "aws:mskconnect/connector:Connector": (
        "description", "kafkaCluster", "kafkaClusterClientAuthentication",
        "kafkaClusterEncryptionInTransit", "kafkaconnectVersion", "logDelivery", "name", "plugins",
        "serviceExecutionRoleArn", "workerConfiguration",
    ),
    "aws:mskconnect/customPlugin:CustomPlugin": ("contentType", "description", "location", "name"),
    "aws:mskconnect/workerConfiguration:WorkerConfiguration": (
        "description", "name", "propertiesFileContent",
    ),
    "aws:s3/bucket:Bucket": ("bucket", "bucketPrefix", "objectLockEnabled"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ("bucket",),
    "aws:s3/bucketLogging:BucketLogging": ("bucket", "expectedBucketOwner"),
    "aws:s3/bucketObjectv2:BucketObjectv2": ("bucket", "key"),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": ("bucket",),
    "aws:s3/bucketPolicy:BucketPolicy": ("bucket",),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("bucket",),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "bucket", "expectedBucketOwner",
    ),
    "aws:s3/bucketVersioning:BucketVersioning": ("bucket", "expectedBucketOwner"),
    "aws:sns/topic:Topic": ("fifoTopic", "name", "namePrefix"),
    "aws:sns/topicPolicy:TopicPolicy": ("arn",),
    "aws:sns/topicSubscription:TopicSubscription": ("endpoint", "protocol", "topic"),
    "aws:ssm/parameter:Parameter": ("name",),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": ("securityGroupId",),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ("securityGroupId",),
}  # fmt: skip


def forcing(kind: str) -> Sequence[str]:
    return FORCING[kind]
