"""What `pulumi up` of each stage needs of IAM, by the types of the resources that the stage makes.

Two stages, as the first needs no way to the cluster: the foundation is `Network` and `Operations`, the
platform everything else. Names of resources begin with the name that components were given, and their tag
``environment`` says whose they are: rights are bound to one of these, or where IAM can do no more, to the
region.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import pulumi

from headrace.aws.handover import FOLDER
from headrace.aws.iam import VERSION, Statement, allow
from headrace.aws.source_database import SourceDatabase, secret_rights
from headrace.errors import HeadraceError

POLICY_CHARS = 6_144
"""Of a managed policy, without white space (IAM quotas)."""
STAGES = ("foundation", "platform")
ACCOUNT_DIGITS = 12


@dataclass(frozen=True)
class Whose:
    """The resources that a stage's rights are about."""

    name: str
    """That the stage's components were given."""
    environment: str
    region: str
    account: str = "0" * ACCOUNT_DIGITS
    existing_cluster: str | None = None
    """Name of a cluster that is there: it is looked up, and none is made, changed or deleted."""
    databases: tuple[SourceDatabase, ...] = ()
    """Sources whose preflight is required: the platform's stage logs in there, so it reads their secrets."""


@dataclass(frozen=True)
class _Right:
    actions: tuple[str, ...]
    resource: str = "*"
    """With ``{name}``, ``{environment}``, ``{region}`` and ``{account}``."""


def _verbs(service: str, what: str, verbs: str) -> tuple[str, ...]:
    return tuple(f"{service}:{verb}{what}" for verb in verbs.split())


def _tagged(service: str) -> tuple[str, ...]:
    return (f"{service}:ListTagsForResource", f"{service}:TagResource", f"{service}:UntagResource")


def _of(service: str, *actions: str, tags: bool = True) -> _Right:
    """Whatever of a service is in the account and the region."""
    arn = f"arn:aws:{service}:{{region}}:{{account}}:*"
    return _Right((*actions, *(_tagged(service) if tags else ())), arn)


def _in_ec2(*actions: str) -> _Right:
    named = tuple(f"ec2:{action}" for action in actions)
    return _Right(("ec2:CreateTags", "ec2:DeleteTags", "ec2:Describe*", *named))


ROLES, POLICIES = "arn:aws:iam::{account}:role/{name}-*", "arn:aws:iam::{account}:policy/{name}-*"
BUCKETS, OBJECTS = "arn:aws:s3:::{name}-*", "arn:aws:s3:::{name}-*/*"
HANDOVER_FOLDER = f"arn:aws:ssm:{{region}}:{{account}}:parameter{FOLDER}/{{environment}}"
HANDOVER = f"{HANDOVER_FOLDER}/*"
KEYS = "arn:aws:kms:{region}:{account}:key/*"
ALIASES = "arn:aws:kms:{region}:{account}:alias/{name}-*"
BUCKET_SETTINGS = _Right(
    (
        *_verbs(
            "s3", "", "CreateBucket DeleteBucket DeleteBucketPolicy GetAccelerateConfiguration GetBucket*"
        ),
        *_verbs(
            "s3", "Configuration", "GetEncryption GetLifecycle GetReplication PutEncryption PutLifecycle"
        ),
        *_verbs("s3", "", "ListBucket ListBucketVersions"),
        *_verbs("s3", "", "PutBucketLogging PutBucketOwnershipControls PutBucketPolicy PutBucketTagging"),
        *_verbs("s3", "", "PutBucketPublicAccessBlock PutBucketVersioning"),
    ),
    BUCKETS,
)
GROUP_RULES = _in_ec2(
    *("AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules"),
    *("RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress"),
)
CLUSTER = "aws:eks/cluster:Cluster"
RIGHTS: dict[str, tuple[_Right, ...]] = {
    "aws:amp/alertManagerDefinition:AlertManagerDefinition": (
        _of("aps", *_verbs("aps", "AlertManagerDefinition", "Create Delete Describe Put"), tags=False),
    ),
    "aws:amp/ruleGroupNamespace:RuleGroupNamespace": (
        _of("aps", *_verbs("aps", "RuleGroupsNamespace", "Create Delete Describe Put")),
    ),
    "aws:amp/scraper:Scraper": (
        _of("aps", *_verbs("aps", "Scraper", "Create Delete Describe Update")),
        _of(
            "eks", "eks:DescribeCluster", *_verbs("eks", "AccessEntry", "Create Delete Describe"), tags=False
        ),
    ),
    "aws:amp/workspace:Workspace": (
        _of(
            "aps",
            *_verbs("aps", "Workspace", "Create Delete Describe"),
            *_verbs("aps", "LoggingConfiguration", "Create Delete Describe Update"),
            "aps:UpdateWorkspaceAlias",
        ),
    ),
    "aws:appautoscaling/policy:Policy": (
        _Right(_verbs("application-autoscaling", "ScalingPolicy", "Delete Put")),
        _Right(("application-autoscaling:DescribeScalingPolicies",)),
    ),
    "aws:appautoscaling/target:Target": (
        _Right(
            (
                *_verbs("application-autoscaling", "ScalableTarget", "Deregister Register"),
                "application-autoscaling:DescribeScalableTargets",
                *_tagged("application-autoscaling"),
            )
        ),
    ),
    "aws:cloudwatch/dashboard:Dashboard": (
        _Right(
            ("cloudwatch:DeleteDashboards", "cloudwatch:GetDashboard", "cloudwatch:PutDashboard"),
            "arn:aws:cloudwatch::{account}:dashboard/headrace-*",
        ),
    ),
    "aws:cloudwatch/logGroup:LogGroup": (
        _of(
            "logs",
            *_verbs("logs", "LogGroup", "Create Delete"),
            *_verbs("logs", "RetentionPolicy", "Delete Put"),
            *_verbs("logs", "KmsKey", "Associate Disassociate"),
            "logs:DescribeLogGroups",
        ),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        _of(
            "cloudwatch", "cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"
        ),
    ),
    "aws:codebuild/project:Project": (
        _of(
            "codebuild",
            "codebuild:BatchGetProjects",
            *_verbs("codebuild", "Project", "Create Delete Update"),
            tags=False,
        ),
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": (GROUP_RULES,),
    "aws:ec2/eip:Eip": (_in_ec2("AllocateAddress", "DisassociateAddress", "ReleaseAddress"),),
    "aws:ec2/flowLog:FlowLog": (_in_ec2("CreateFlowLogs", "DeleteFlowLogs"),),
    "aws:ec2/internetGateway:InternetGateway": (
        _in_ec2(*(f"{verb}InternetGateway" for verb in ("Attach", "Create", "Delete", "Detach"))),
    ),
    "aws:ec2/natGateway:NatGateway": (_in_ec2("CreateNatGateway", "DeleteNatGateway"),),
    "aws:ec2/route:Route": (_in_ec2("CreateRoute", "DeleteRoute", "ReplaceRoute"),),
    "aws:ec2/routeTable:RouteTable": (_in_ec2("CreateRouteTable", "DeleteRouteTable"),),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": (
        _in_ec2("AssociateRouteTable", "DisassociateRouteTable", "ReplaceRouteTableAssociation"),
    ),
    "aws:ec2/securityGroup:SecurityGroup": (
        _in_ec2("CreateSecurityGroup", "DeleteSecurityGroup", "RevokeSecurityGroupEgress"),
    ),
    "aws:ec2/subnet:Subnet": (_in_ec2("CreateSubnet", "DeleteSubnet", "ModifySubnetAttribute"),),
    "aws:ec2/vpc:Vpc": (_in_ec2("CreateVpc", "DeleteVpc", "ModifyVpcAttribute"),),
    "aws:ec2/vpcEndpoint:VpcEndpoint": (
        _in_ec2("CreateVpcEndpoint", "DeleteVpcEndpoints", "ModifyVpcEndpoint"),
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": (
        _of("ecr", *_verbs("ecr", "LifecyclePolicy", "Delete Get Put"), tags=False),
    ),
    "aws:ecr/repository:Repository": (
        _of(
            "ecr",
            *_verbs("ecr", "Repository", "Create Delete"),
            *_verbs("ecr", "", "DescribeRepositories PutImageScanningConfiguration PutImageTagMutability"),
        ),
    ),
    "aws:eks/accessEntry:AccessEntry": (
        _of("eks", *_verbs("eks", "AccessEntry", "Create Delete Describe Update")),
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": (
        _of(
            "eks",
            *_verbs("eks", "AccessPolicy", "Associate Disassociate"),
            "eks:ListAssociatedAccessPolicies",
            tags=False,
        ),
    ),
    CLUSTER: (
        _of(
            "eks",
            *_verbs("eks", "Cluster", "Create Delete Describe"),
            *_verbs("eks", "", "DescribeUpdate UpdateClusterConfig UpdateClusterVersion"),
        ),
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": (
        _of("eks", *_verbs("eks", "PodIdentityAssociation", "Create Delete Describe Update")),
    ),
    "aws:iam/policy:Policy": (
        _Right(
            (
                *_verbs("iam", "Policy", "Create Delete Get Tag Untag"),
                *_verbs("iam", "PolicyVersion", "Create Delete Get"),
                "iam:ListPolicyVersions",
            ),
            POLICIES,
        ),
    ),
    "aws:iam/role:Role": (
        _Right(
            (
                *_verbs("iam", "Role", "Create Delete Get Tag Untag Update"),
                *_verbs("iam", "", "ListInstanceProfilesForRole ListRolePolicies ListRoleTags"),
                *_verbs("iam", "", "ListAttachedRolePolicies UpdateAssumeRolePolicy"),
            ),
            ROLES,
        ),
    ),
    "aws:iam/rolePolicy:RolePolicy": (_Right(_verbs("iam", "RolePolicy", "Delete Get Put"), ROLES),),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": (
        _Right((*_verbs("iam", "RolePolicy", "Attach Detach"), "iam:ListAttachedRolePolicies"), ROLES),
    ),
    "aws:kms/alias:Alias": (
        _Right((*_verbs("kms", "Alias", "Create Delete Update"),), ALIASES),
        _Right(("kms:ListAliases",)),
    ),
    "aws:kms/key:Key": (),
    "aws:kms/keyPolicy:KeyPolicy": (),
    "aws:msk/cluster:Cluster": (
        _of(
            "kafka",
            *_verbs("kafka", "Cluster", "Create Delete Describe"),
            *_verbs("kafka", "", "DescribeClusterOperation DescribeClusterV2 GetBootstrapBrokers"),
            *_verbs("kafka", "", "UpdateBrokerStorage UpdateBrokerType UpdateClusterConfiguration"),
            *_verbs("kafka", "", "UpdateClusterKafkaVersion UpdateMonitoring UpdateSecurity"),
        ),
    ),
    "aws:msk/configuration:Configuration": (
        _of(
            "kafka",
            *_verbs("kafka", "Configuration", "Create Delete Describe Update"),
            "kafka:DescribeConfigurationRevision",
            tags=False,
        ),
    ),
    "aws:msk/topic:Topic": (
        _of("kafka", *_verbs("kafka", "Topic", "Create Delete Describe Update"), tags=False),
        _of(
            "kafka",
            *_verbs("kafka-cluster", "Topic", "Alter Create Delete Describe"),
            *_verbs("kafka-cluster", "TopicDynamicConfiguration", "Alter Describe"),
            "kafka-cluster:Connect",
            tags=False,
        ),
    ),
    "aws:mskconnect/connector:Connector": (
        _of("kafkaconnect", *_verbs("kafkaconnect", "Connector", "Create Delete Describe Update")),
        # The service makes its interfaces, and delivers logs, in the name of whoever makes a connector.
        _Right(("ec2:CreateNetworkInterface", "ec2:Describe*")),
        _Right(_verbs("logs", "LogDelivery", "Create Delete Get Update")),
        _Right(_verbs("logs", "", "DescribeLogGroups DescribeResourcePolicies PutResourcePolicy")),
    ),
    "aws:mskconnect/customPlugin:CustomPlugin": (
        _of("kafkaconnect", *_verbs("kafkaconnect", "CustomPlugin", "Create Delete Describe")),
    ),
    "aws:mskconnect/workerConfiguration:WorkerConfiguration": (
        _of("kafkaconnect", *_verbs("kafkaconnect", "WorkerConfiguration", "Create Delete Describe")),
    ),
    "aws:s3/bucket:Bucket": (
        BUCKET_SETTINGS,
        _Right(("s3:DeleteObject", "s3:DeleteObjectVersion"), OBJECTS),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (BUCKET_SETTINGS,),
    "aws:s3/bucketLogging:BucketLogging": (BUCKET_SETTINGS,),
    "aws:s3/bucketObjectv2:BucketObjectv2": (
        _Right(
            (
                *_verbs("s3", "Object", "Delete Get Put"),
                *_verbs("s3", "ObjectTagging", "Get Put"),
                *_verbs("s3", "ObjectVersion", "Delete Get"),
            ),
            OBJECTS,
        ),
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": (BUCKET_SETTINGS,),
    "aws:s3/bucketPolicy:BucketPolicy": (BUCKET_SETTINGS,),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": (BUCKET_SETTINGS,),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        BUCKET_SETTINGS,
    ),
    "aws:s3/bucketVersioning:BucketVersioning": (BUCKET_SETTINGS,),
    "aws:sns/topic:Topic": (
        _of("sns", *_verbs("sns", "Topic", "Create Delete"), *_verbs("sns", "TopicAttributes", "Get Set")),
    ),
    "aws:sns/topicPolicy:TopicPolicy": (
        _of("sns", *_verbs("sns", "TopicAttributes", "Get Set"), tags=False),
    ),
    "aws:sns/topicSubscription:TopicSubscription": (
        _of("sns", "sns:GetSubscriptionAttributes", "sns:Subscribe", "sns:Unsubscribe", tags=False),
    ),
    "aws:ssm/parameter:Parameter": (
        _Right(
            (
                *_verbs("ssm", "Parameter", "Delete Get Put"),
                *_verbs("ssm", "", "AddTagsToResource GetParameters ListTagsForResource"),
                "ssm:RemoveTagsFromResource",
            ),
            HANDOVER,
        ),
        _Right(("ssm:DescribeParameters",)),
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": (GROUP_RULES,),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (GROUP_RULES,),
}
"""By the type of a resource; keys have statements of their own, as their ids do not say whose they are."""
GROUP, POLICY = "aws:ec2/securityGroup:SecurityGroup", "aws:iam/policy:Policy"
OF_THE_PLATFORM = ("aws:s3/bucketObjectv2:BucketObjectv2",)
ALONE = {POLICY} | {
    kind for kind in RIGHTS if kind.startswith(("aws:codebuild/", "aws:ec2/", "aws:ssm/"))
} - {GROUP}
SHARED = {GROUP, "aws:cloudwatch/logGroup:LogGroup"} | {
    kind for kind in RIGHTS if kind.startswith(("aws:iam/", "aws:kms/", "aws:s3/", "aws:vpc/"))
}
MADE = {
    "foundation": frozenset(ALONE | SHARED) - frozenset(OF_THE_PLATFORM),
    "platform": frozenset(RIGHTS) - ALONE,
}
"""Types of resources of each stage; the foundation makes some ALONE, and others are SHARED."""
LOOKED_UP: dict[str, tuple[_Right, ...]] = {
    "foundation": (),
    "platform": (
        *(_Right(("ssm:GetParametersByPath",), resource) for resource in (HANDOVER_FOLDER, HANDOVER)),
        _Right(("ec2:DescribeSubnets",)),
    ),
}
"""What a stage reads without making it: what its foundation left, and subnets that are there."""
EXISTING_CLUSTER = _Right(
    ("eks:DescribeCluster",), "arn:aws:eks:{region}:{account}:cluster/{existing_cluster}"
)
"""What both stages read of a cluster that is there."""
PASSED_TO = {
    "foundation": ("codebuild.amazonaws.com", "vpc-flow-logs.amazonaws.com"),
    "platform": ("eks.amazonaws.com", "kafkaconnect.amazonaws.com", "pods.eks.amazonaws.com"),
}
"""Services that take roles which the stage hands them."""
LINKED: dict[str, tuple[str, ...]] = {
    "foundation": (),
    "platform": (
        *("eks.amazonaws.com", "kafka.amazonaws.com", "kafka.application-autoscaling.amazonaws.com"),
        *("kafkaconnect.amazonaws.com", "scraper.aps.amazonaws.com"),
    ),
}
"""Services that make a role of their own, when the account uses them for the first time."""


def deploy_policies(stage: str, whose: Whose) -> tuple[str, ...]:
    """Documents of a stage's rights, in as many parts as IAM's limit makes of them; all are needed.

    Raises:
        HeadraceError: there is no such stage.
    """
    if stage not in STAGES:
        raise HeadraceError(f"policies: given stage {stage!r}; allowed: {', '.join(STAGES)}")
    return tuple(_packed(_statements(stage, whose)))


def documents(whose: Whose, account: pulumi.Output[str]) -> dict[str, list[pulumi.Output[str]]]:
    """The same of each stage, of an account that may be known only later.

    Every account's number is as long, so how many there are is known before.
    """

    def part(stage: str, at: int, number: str) -> str:
        return deploy_policies(stage, replace(whose, account=number))[at]

    return {
        stage: [account.apply(partial(part, stage, at)) for at in range(len(deploy_policies(stage, whose)))]
        for stage in STAGES
    }


def _statements(stage: str, whose: Whose) -> Iterator[Statement]:
    by_resource: dict[str, set[str]] = defaultdict(set)
    for right in _rights(stage, whose):
        by_resource[right.resource].update(right.actions)
    here = {"StringEquals": {"aws:RequestedRegion": whose.region}}
    for resource, actions in sorted(by_resource.items()):
        arn = resource.format(
            name=whose.name,
            environment=whose.environment,
            region=whose.region,
            account=whose.account,
            existing_cluster=whose.existing_cluster,
        )
        yield allow(sorted(actions), [arn], here if resource == "*" else None)
    yield from _of_keys(whose)
    if stage == "platform":
        yield from _of_secrets(whose)
    roles = ROLES.format(name=whose.name, account=whose.account)
    yield allow(["iam:PassRole"], [roles], {"StringEquals": {"iam:PassedToService": list(PASSED_TO[stage])}})
    if LINKED[stage]:
        yield allow(
            ["iam:CreateServiceLinkedRole"],
            [f"arn:aws:iam::{whose.account}:role/aws-service-role/*"],
            {"StringEquals": {"iam:AWSServiceName": list(LINKED[stage])}},
        )


def _rights(stage: str, whose: Whose) -> Iterator[_Right]:
    made = MADE[stage]
    yield from LOOKED_UP[stage]
    if whose.existing_cluster:
        yield EXISTING_CLUSTER
        made -= {CLUSTER}
    yield from (right for kind in made for right in RIGHTS[kind])


def _of_keys(whose: Whose) -> Iterator[Statement]:
    """A key is known by its tag: who makes one says whose it is, and that is whose it stays."""
    keys = KEYS.format(region=whose.region, account=whose.account)
    ours = {"StringEquals": {"aws:ResourceTag/environment": whose.environment}}
    yield allow(
        ["kms:CreateKey", "kms:TagResource"],
        ["*"],
        {
            "StringEquals": {
                "aws:RequestTag/environment": whose.environment,
                "aws:RequestedRegion": whose.region,
            }
        },
    )
    yield allow(
        [
            *_verbs("kms", "Alias", "Create Delete Update"),
            *_verbs("kms", "KeyPolicy", "Get Put"),
            # Who may decrypt is said by the few keys that a deployment has to use.
            *_verbs("kms", "", "CreateGrant DescribeKey EnableKeyRotation GenerateDataKey"),
            *_verbs(
                "kms", "", "GetKeyRotationStatus ListResourceTags ScheduleKeyDeletion UpdateKeyDescription"
            ),
        ],
        [keys],
        ours,
    )


def _of_secrets(whose: Whose) -> Iterator[Statement]:
    """Each once, though sources may share one."""
    said: list[Statement] = []
    for statement in (each for database in whose.databases for each in secret_rights(database)):
        if statement not in said:
            said.append(statement)
            yield statement


def _packed(statements: Iterable[Statement]) -> Iterator[str]:
    """As few documents as they fit in, in their order."""
    part: list[Statement] = []
    for statement in statements:
        if part and len(_written([*part, statement])) > POLICY_CHARS:
            yield _written(part)
            part = []
        part.append(statement)
    yield _written(part)


def _written(statements: list[Statement]) -> str:
    return json.dumps({"Version": VERSION, "Statement": statements}, separators=(",", ":"))
