"""A stack of plain resources, as people write them; the findings were listed by hand beforehand."""

from __future__ import annotations

import json

from headrace_policies import RULES
from headrace_policies.rule import Declared
from tests.policies.analyzer import serving

TAGS = {"environment": "prod", "owner": "web", "cost-centre": "1"}
STACK = (
    Declared(
        "aws:eks/cluster:Cluster",
        {
            "roleArn": "arn:aws:iam::111122223333:role/web",
            "vpcConfig": {"subnetIds": ["subnet-a", "subnet-b"]},
            "enabledClusterLogTypes": ["api", "audit"],
            "tags": TAGS,
        },
        "web",
    ),
    Declared(
        "aws:msk/cluster:Cluster",
        {
            "clusterName": "web",
            "kafkaVersion": "3.9.x",
            "numberOfBrokerNodes": 2,
            "brokerNodeGroupInfo": {
                "instanceType": "kafka.t3.small",
                "clientSubnets": ["subnet-a", "subnet-b"],
                "securityGroups": ["sg-1"],
            },
            "encryptionInfo": {"encryptionInTransit": {"clientBroker": "TLS_PLAINTEXT"}},
            "tags": TAGS,
        },
        "web",
    ),
    Declared("aws:s3/bucket:Bucket", {"bucket": "web-assets"}, "assets"),
    Declared(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {"bucket": "web-assets", "blockPublicAcls": True, "ignorePublicAcls": True},
        "assets",
    ),
    Declared(
        "aws:s3/bucketPolicy:BucketPolicy",
        {
            "bucket": "web-assets",
            "policy": json.dumps(
                {
                    "Statement": {
                        "Effect": "Allow",
                        "Principal": {"AWS": "*"},
                        "Action": "s3:GetObject",
                        "Resource": "arn:aws:s3:::web-assets/*",
                    }
                }
            ),
        },
        "assets",
    ),
    Declared(
        "aws:iam/role:Role",
        {
            "assumeRolePolicy": {
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "ec2.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ]
            },
            "inlinePolicies": [
                {
                    "name": "all",
                    "policy": '{"Statement":[{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}]}',
                }
            ],
            "tags": TAGS,
        },
        "web",
    ),
    Declared("aws:iam/policy:Policy", {"policy": "no JSON at all", "tags": TAGS}, "broken"),
    Declared("aws:ec2/instance:Instance", {"ami": "ami-1"}, "governed-by-no-rule"),
)
FINDINGS = {
    # The endpoint is public by EKS's default, and open to everyone by EKS's default.
    ("EKS.1", "web"),
    ("CKV_AWS_38", "web"),
    ("EKS.3", "web"),
    ("CKV_AWS_37", "web"),
    # No authentication, no logs, default monitoring, clear text for clients.
    ("nag-MSK2", "web"),
    ("MSK.2", "web"),
    ("MSK.6", "web"),
    ("CKV_AWS_80", "web"),
    # Two of four blocks are missing; no setting of its own but those.
    ("S3.1", "assets"),
    ("S3.5", "assets"),
    ("S3.9", "assets"),
    ("S3.13", "assets"),
    ("S3.14", "assets"),
    ("S3.17", "assets"),
    ("HR-TAG-1", "assets"),
    ("CKV_AWS_70", "assets"),
    # The role may decrypt with every key.
    ("KMS.1", "web"),
}


def test_a_plain_stack_is_judged_as_listed_by_hand() -> None:
    with serving(RULES) as pack:
        said = pack.judge(STACK)
    assert {(one.rule, one.urn.rpartition("::")[2]) for one in said} == FINDINGS
