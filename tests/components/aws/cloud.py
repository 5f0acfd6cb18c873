"""AWS as Pulumi's mocks stand for it: every resource has an ARN, and the region has four zones."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from pulumi.runtime import mocks

from headrace.aws import Tags
from tests.components.recording import Echo, Registered, registered

ACCOUNT, REGION = "111122223333", "eu-central-1"
TAGS = Tags(environment="dev", owner="data-platform", cost_centre="4711")
ZONES_FUNCTION = "aws:index/getAvailabilityZones:getAvailabilityZones"
SUBNET_FUNCTION = "aws:ec2/getSubnet:getSubnet"
CLUSTER_FUNCTION = "aws:eks/getCluster:getCluster"
PARAMETERS_FUNCTION = "aws:ssm/getParametersByPath:getParametersByPath"
EC2_TEXT = re.compile(r"[\w .:/()#,@\[\]+=&;{}!$*-]{1,255}", re.ASCII)
UNTAGGED = {
    "aws:amp/alertManagerDefinition:AlertManagerDefinition",
    "aws:appautoscaling/policy:Policy",
    "aws:cloudwatch/dashboard:Dashboard",
    "aws:ec2/route:Route",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy",
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:kms/alias:Alias",
    "aws:kms/keyPolicy:KeyPolicy",
    "aws:msk/configuration:Configuration",
    "aws:msk/topic:Topic",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketLogging:BucketLogging",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:sns/topicPolicy:TopicPolicy",
    "aws:sns/topicSubscription:TopicSubscription",
}
"""Types that take no tags."""


FOUNDATION = {
    "vpc_id": "vpc-1",
    "private_subnet_ids": ["subnet-a", "subnet-b", "subnet-c"],
    "runner_role_arn": f"arn:aws:iam::{ACCOUNT}:role/runner",
    "runner_security_group_id": "sg-runner",
}
"""What the foundation of an environment leaves for its platform."""


EXISTING_CLUSTER: dict[str, Any] = {
    "accessConfigs": [{"authenticationMode": "API_AND_CONFIG_MAP"}],
    "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/shared",
    "certificateAuthorities": [{"data": "Q0E="}],
    "computeConfigs": [{"enabled": True, "nodePools": ["general-purpose"], "nodeRoleArn": "arn:theirs"}],
    "endpoint": "https://shared.example",
    "kubernetesNetworkConfigs": [{"serviceIpv4Cidr": "172.20.0.0/16"}],
    "name": "shared",
    "status": "ACTIVE",
    "version": "1.33",
    "vpcConfig": {
        "clusterSecurityGroupId": "sg-shared",
        "endpointPrivateAccess": True,
        "endpointPublicAccess": True,
        "vpcId": "vpc-1",
    },
}
"""A cluster that is there, as EKS describes it."""
POLICIES_ENFORCED = {"enable-network-policy-controller": "true"}


class Cloud(Echo):
    def __init__(
        self,
        foundation: Mapping[str, Any] | None = FOUNDATION,
        cluster: Mapping[str, Any] = EXISTING_CLUSTER,
        cni: Mapping[str, str] = POLICIES_ENFORCED,
    ) -> None:
        super().__init__()
        self.foundation, self.cluster, self.cni = foundation, cluster, cni

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.resource_id == "kube-system/amazon-vpc-cni":
            return args.resource_id, {"data": dict(self.cni)}
        if not args.typ.startswith("aws:"):
            return super().new_resource(args)
        made = {
            "arn": arn(args.typ, args.name),
            "bucket": args.name,
            "name": args.name,
            "ownerId": ACCOUNT,
            "repositoryUrl": f"registry.example/{args.name}",
            "versionId": "version-1",
            "clusterName": args.name,
            "keyId": args.name,
            "latestRevision": 1,
            "prometheusEndpoint": f"https://metrics.example/{args.name}",
            "bootstrapBrokersSaslIam": "b-1.example:9098,b-2.example:9098",
        }
        inputs = dict(args.inputs)
        if args.typ == "aws:eks/cluster:Cluster":
            network = inputs["kubernetesNetworkConfig"]
            inputs["kubernetesNetworkConfig"] = {**network, "serviceIpv4Cidr": "172.20.0.0/16"}
            inputs["vpcConfig"] = {**inputs["vpcConfig"], "clusterSecurityGroupId": "sg-cluster"}
            made |= {"endpoint": "https://eks.example", "certificateAuthority": {"data": "Q0E="}}
        return args.name, made | inputs

    def call(self, args: mocks.MockCallArgs) -> Any:
        if args.token == ZONES_FUNCTION:
            return {"names": [f"{REGION}{letter}" for letter in "abcd"]}
        if args.token == SUBNET_FUNCTION:
            return {"cidrBlock": "10.20.0.0/20"}
        if args.token == CLUSTER_FUNCTION:
            assert args.args["name"] == self.cluster["name"]
            return dict(self.cluster)
        if args.token == PARAMETERS_FUNCTION:
            left = self.foundation
            return {
                "names": [f"{args.args['path']}/foundation"] if left else [],
                "values": [json.dumps(left)] if left else [],
            }
        return super().call(args)


def arn(kind: str, name: str) -> str:
    """Of a resource, as :class:`Cloud` gives it."""
    if kind == "aws:msk/cluster:Cluster":
        return f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/{name}/uuid-1"
    service = kind.removeprefix("aws:").partition("/")[0]
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def built(program: Callable[[], object]) -> Registered:
    return registered(program, Cloud())


NAMED_FURTHER = {f"headrace:aws:{kind}" for kind in ("FlinkApplication", "FlinkOperator", "Namespace")}
"""Components of an environment whose names say more than its own."""


def kinds(stack: Registered) -> Counter[str]:
    """How many of each type there are."""
    return Counter(key.split()[0] for key in stack)


def inputs(stack: Registered, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = stack[f"{kind} {name}"]["inputs"]
    return found


def statements(policy: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def assert_house_rules(stack: Registered, root: str, tags: Tags = TAGS) -> None:
    """Every child stands below its component, is named from it, and has the tags of the stack.

    Security groups and their rules are described in the characters that EC2 takes.
    """
    for key, found in stack.items():
        kind, name = key.split(" ", 1)
        if name == root or kind in NAMED_FURTHER:
            assert name.startswith(root), key
            continue
        assert found["parent"].startswith(root), key
        assert name.startswith(root), key
        if kind.startswith("aws:") and kind not in UNTAGGED:
            assert found["inputs"]["tags"].items() >= tags.shared.items(), key
        if "ecurityGroup" in kind and "default" not in kind:
            assert EC2_TEXT.fullmatch(found["inputs"]["description"]), key
