"""Good resources of AWS, varied within what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from headrace_policies import cdc, ec2, eks, iam, kms, msk, s3
from headrace_policies import secrets_manager as secrets
from headrace_policies.rule import Declared, Example
from headrace_policies.samples import BUCKET, KEY, ROLE, TAGS, document

Strategy = st.SearchStrategy[Example]
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)
PRIVATE = st.sampled_from(["10.0.0.0/8", "172.16.0.0/12", "192.168.7.0/24", "fd00::/8"])
PORTS = st.integers(1, 65535)
YES = st.sampled_from([True, "true"])
NO = st.sampled_from([False, "false"])


def tagged(properties: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """With the tags on the resource or from the provider's defaults, and others beside them."""
    return st.builds(
        lambda more, by_default: (
            dict(properties)
            | ({"tagsAll": TAGS | more, "tags": more} if by_default else {"tags": TAGS | more})
        ),
        st.dictionaries(NAMES, NAMES, max_size=2),
        st.booleans(),
    )


def one(kind: str, properties: st.SearchStrategy[dict[str, Any]]) -> Strategy:
    return properties.map(lambda made: (Declared(kind, made),))


def alone(kind: str, **properties: Any) -> Strategy:
    return one(kind, st.fixed_dictionaries(properties))


def optional(*path: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A nested property, or nothing."""
    nested = value
    for key in reversed(path):
        nested = st.fixed_dictionaries({}, optional={key: nested})
    return nested


def clusters() -> Strategy:
    endpoint = st.one_of(
        st.fixed_dictionaries({"endpointPublicAccess": NO}),
    )
    return st.builds(
        lambda access, version, logs, tags: (
            Declared(
                eks.CLUSTER,
                dict(eks.GOOD_CLUSTER)
                | {"vpcConfig": {"subnetIds": ["s"]} | access, "enabledClusterLogTypes": logs}
                | ({"version": version} if version else {})
                | tags,
            ),
        ),
        endpoint,
        st.sampled_from([None, "1.33", "1.34", "1.40"]),
        st.permutations(eks.LOGS),
        tagged({}),
    )


def node_groups() -> Strategy:
    ssh = st.fixed_dictionaries(
        {"ec2SshKey": NAMES, "sourceSecurityGroupIds": st.lists(NAMES, min_size=1, max_size=2)}
    )
    return st.builds(
        lambda remote, tags, public: (
            Declared(eks.NODE_GROUP, dict(eks.GOOD_NODE_GROUP) | remote | tags),
            Declared(eks.SUBNET, {"id": "subnet-1", "mapPublicIpOnLaunch": False, "tags": TAGS}, "private"),
            Declared(
                eks.SUBNET, {"id": "subnet-9", "mapPublicIpOnLaunch": public, "tags": TAGS}, "elsewhere"
            ),
        ),
        optional("remoteAccess", value=ssh),
        tagged({}),
        st.booleans(),
    )


def msk_clusters() -> Strategy:
    sasl = st.sampled_from([{"iam": True}, {"scram": True}, {"iam": True, "scram": False}])
    tls = st.just({"certificateAuthorityArns": ["arn:aws:acm-pca:eu-central-1:111122223333:ca/1"]})
    where = st.sampled_from(msk.DESTINATIONS).map(lambda to: {to: {"enabled": True}})
    return st.builds(
        lambda encryption, authentication, monitoring, logs, public, tags: (
            Declared(
                msk.CLUSTER,
                {
                    "encryptionInfo": {"encryptionInTransit": encryption},
                    "clientAuthentication": authentication,
                    "enhancedMonitoring": monitoring,
                    "loggingInfo": {"brokerLogs": logs},
                    "brokerNodeGroupInfo": {"connectivityInfo": public},
                }
                | tags,
            ),
        ),
        st.fixed_dictionaries({}, optional={"clientBroker": st.just("TLS"), "inCluster": YES}),
        st.one_of(st.fixed_dictionaries({"sasl": sasl}), st.fixed_dictionaries({"tls": tls})),
        st.sampled_from(msk.MONITORING),
        where,
        optional("publicAccess", "type", value=st.just("DISABLED")),
        tagged({}),
    )


def connectors() -> Strategy:
    return st.builds(
        lambda heartbeat, retries, mode, secret, tags: (
            Declared(
                msk.CONNECTOR,
                dict(msk.GOOD_CONNECTOR)
                | {
                    "connectorConfiguration": dict(msk.GOOD_CONNECTOR["connectorConfiguration"])
                    | {
                        "heartbeat.interval.ms": str(heartbeat),
                        "errors.max.retries": str(retries),
                        "publication.autocreate.mode": mode,
                        "database.password": f"${{secretsmanager:{secret}:password}}",
                    }
                }
                | tags,
            ),
            cdc.PINNED,
        ),
        st.integers(1, 600_000),
        st.integers(0, 10_000),
        st.sampled_from(["filtered", "disabled"]),
        NAMES,
        tagged({}),
    )


def buckets() -> Strategy:
    """A bucket with every setting, named or, as a provider's older version has it, by its id."""

    def made(bucket: str, days: int, algorithm: str, ownership: str | None, tags: Any) -> Example:
        def setting(kind: str, **properties: Any) -> Declared:
            return Declared(kind, {"bucket": bucket} | properties, "setting")

        by_default = {"sseAlgorithm": algorithm, "kmsMasterKeyId": KEY}
        upload = {"daysAfterInitiation": days}
        settings_ = [
            setting(s3.ACCESS_BLOCK, **dict.fromkeys(s3.BLOCKS, True)),
            setting(s3.POLICY, policy=s3.TLS_ONLY),
            setting(s3.LOGGING, targetBucket="logs"),
            setting(
                s3.LIFECYCLE,
                rules=[{"id": "u", "status": "Enabled", "abortIncompleteMultipartUpload": upload}],
            ),
            setting(s3.VERSIONING, versioningConfiguration={"status": "Enabled"}),
            setting(s3.ENCRYPTION, rules=[{"applyServerSideEncryptionByDefault": by_default}]),
        ]
        if ownership:
            settings_.append(setting(s3.OWNERSHIP, rule={"objectOwnership": ownership}))
        return Declared(s3.BUCKET_TYPE, {"bucket": bucket} | tags), *settings_

    return st.builds(
        made,
        NAMES,
        st.integers(1, 30),
        st.sampled_from(["aws:kms", "aws:kms:dsse"]),
        st.sampled_from([None, "BucketOwnerEnforced"]),
        tagged({}),
    )


ACTIONS = st.lists(
    st.sampled_from(["s3:GetObject", "s3:Put*", "kms:Decrypt", "kafka-cluster:Connect", "iam:GetRole"]),
    min_size=1,
    max_size=3,
)
RESOURCES = st.sampled_from([f"{BUCKET}/*", KEY, ROLE])
DOCUMENTS = st.builds(
    lambda actions, resource: document(Action=actions, Resource=resource), ACTIONS, RESOURCES
)
PRINCIPALS = st.sampled_from([{"Service": "pods.eks.amazonaws.com"}, {"AWS": ROLE}])


def policies(kind: str) -> Strategy:
    return DOCUMENTS.flatmap(lambda policy: one(kind, tagged({"policy": policy})))


def roles() -> Strategy:
    trust = PRINCIPALS.map(lambda principal: document(Principal=principal, Action="sts:AssumeRole"))
    return st.builds(
        lambda trust, policy, tags: (
            Declared(
                iam.ROLE_TYPE, {"assumeRolePolicy": trust, "inlinePolicies": [{"policy": policy}]} | tags
            ),
        ),
        trust,
        DOCUMENTS,
        tagged({}),
    )


def resource_policies(kind: str) -> Strategy:
    """Of a bucket or a key: for named principals, or for everyone under a condition."""
    allowed = st.one_of(
        PRINCIPALS.map(lambda p: document(Principal=p, Action="s3:GetObject", Resource="*")),
        st.just(
            document(
                Principal="*",
                Action="s3:GetObject",
                Resource="*",
                Condition={"StringEquals": {"aws:SourceVpce": "vpce-1"}},
            )
        ),
    )
    return alone(kind, policy=allowed, bucket=NAMES)


def keys() -> Strategy:
    return st.one_of(
        tagged({"enableKeyRotation": True}).flatmap(lambda p: one(kms.KEY_TYPE, st.just(p))),
        one(kms.KEY_TYPE, tagged({"customerMasterKeySpec": "RSA_4096"})),
        one(kms.KEY_TYPE, tagged({"keyUsage": "GENERATE_VERIFY_MAC"})),
    )


def security_groups() -> Strategy:
    rules = st.lists(
        st.fixed_dictionaries(
            {"protocol": st.just("tcp"), "fromPort": PORTS, "toPort": PORTS, "cidrBlocks": st.lists(PRIVATE)}
        ),
        max_size=3,
    )
    return st.builds(
        lambda ingress, tags: (Declared(ec2.GROUP, {"ingress": ingress} | tags),), rules, tagged({})
    )


def templates() -> Strategy:
    encrypted = st.fixed_dictionaries({"ebs": st.fixed_dictionaries({"encrypted": YES})})
    return st.builds(
        lambda mappings, tags: (
            Declared(ec2.TEMPLATE, dict(ec2.GOOD_TEMPLATE) | {"blockDeviceMappings": mappings} | tags),
        ),
        st.lists(st.one_of(encrypted, st.just({"noDevice": "true"})), max_size=3),
        tagged({}),
    )


GOOD_AWS: dict[str, Callable[[], Strategy]] = {
    eks.CLUSTER: clusters,
    eks.NODE_GROUP: node_groups,
    eks.SUBNET: lambda: one(eks.SUBNET, tagged({"mapPublicIpOnLaunch": True})),
    msk.CLUSTER: msk_clusters,
    msk.CONNECTOR: connectors,
    cdc.WORKER: lambda: one(
        cdc.WORKER,
        tagged({"propertiesFileContent": "offset.storage.topic=o\ndatabase.password=${file:/s:p}\n"}),
    ),
    s3.BUCKET_TYPE: buckets,
    s3.POLICY: lambda: resource_policies(s3.POLICY),
    s3.LIFECYCLE: lambda: alone(s3.LIFECYCLE, bucket=NAMES, rules=st.just([{"expiration": {"days": 1}}])),
    iam.POLICY: lambda: policies(iam.POLICY),
    iam.ROLE_POLICY: lambda: policies(iam.ROLE_POLICY),
    iam.ROLE_TYPE: roles,
    kms.KEY_TYPE: keys,
    kms.KEY_POLICY: lambda: resource_policies(kms.KEY_POLICY),
    ec2.VPC: lambda: tagged({"id": "vpc-1"}).map(
        lambda vpc: (Declared(ec2.VPC, vpc), Declared(ec2.FLOW_LOG, {"vpcId": "vpc-1", "tags": TAGS}))
    ),
    ec2.FLOW_LOG: lambda: one(ec2.FLOW_LOG, tagged({"vpcId": "vpc-1"})),
    ec2.GROUP: security_groups,
    ec2.GROUP_RULE: lambda: st.one_of(
        alone(ec2.GROUP_RULE, type=st.just("ingress"), cidrBlocks=st.lists(PRIVATE), fromPort=PORTS),
        alone(ec2.GROUP_RULE, type=st.just("egress"), cidrBlocks=st.just(["0.0.0.0/0"])),
    ),
    ec2.INGRESS_RULE: lambda: alone(ec2.INGRESS_RULE, cidrIpv4=PRIVATE, ipProtocol=st.just("tcp")),
    ec2.TEMPLATE: templates,
    secrets.SECRET: lambda: tagged({"id": "s", "kmsKeyId": KEY}).map(
        lambda secret: (Declared(secrets.SECRET, secret), Declared(secrets.ROTATION, {"secretId": "s"}))
    ),
}
