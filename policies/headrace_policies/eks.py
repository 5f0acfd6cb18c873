"""EKS: who reaches the cluster's endpoint, what is encrypted and logged, how old it may be, and its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headrace_policies.nodes import Node
from headrace_policies.remedies import changed
from headrace_policies.rule import Change, Declared, Option, Rule
from headrace_policies.samples import KEY, TAGS
from headrace_policies.stacks import Case

CLUSTER = "aws:eks/cluster:Cluster"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
SUBNET = "aws:ec2/subnet:Subnet"
LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
ANYWHERE = ("0.0.0.0/0", "::/0")

GOOD_CLUSTER = {
    "name": "orders",
    "roleArn": "arn:aws:iam::111122223333:role/orders-cluster",
    "version": "1.34",
    "vpcConfig": {
        "subnetIds": ["subnet-1", "subnet-2"],
        "endpointPrivateAccess": True,
        "endpointPublicAccess": False,
    },
    "encryptionConfig": {"provider": {"keyArn": KEY}, "resources": ["secrets"]},
    "enabledClusterLogTypes": list(LOGS),
    "tags": TAGS,
}
GOOD_NODE_GROUP = {
    "clusterName": "orders",
    "nodeRoleArn": "arn:aws:iam::111122223333:role/orders-nodes",
    "subnetIds": ["subnet-1"],
    "scalingConfig": {"minSize": 1, "maxSize": 3, "desiredSize": 1},
    "tags": TAGS,
}


def _cluster(*path: str, value: object) -> tuple[Declared, ...]:
    return (Declared(CLUSTER, changed(GOOD_CLUSTER, path, value)),)


def _endpoint(case: Case) -> Iterator[str]:
    node = case.at("vpcConfig", "endpointPublicAccess")
    if not node.is_false:
        yield node.fault("the cluster's API server can be reached from the internet (EKS's default is true)")


def _public_cidrs(case: Case) -> Iterator[str]:
    if case.at("vpcConfig", "endpointPublicAccess").is_false:
        return
    cidrs = case.at("vpcConfig", "publicAccessCidrs")
    if not cidrs.items:
        yield cidrs.fault("the public endpoint is open to every address (EKS's default is 0.0.0.0/0)")
    for cidr in cidrs.items:
        if cidr.text in ANYWHERE:
            yield cidr.fault("the public endpoint is open to every address")


def _version(case: Case) -> Iterator[str]:
    node = case.at("version")
    if not node.is_set:
        return
    least = case.config["minimumVersion"]
    if _minor(node.text) < _minor(least):
        yield node.fault(f"Kubernetes versions below {least} are out of EKS's standard support")


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _secrets(case: Case) -> Iterator[str]:
    node = case.at("encryptionConfig", "resources")
    if "secrets" not in node.texts:
        yield node.fault("Kubernetes secrets are not encrypted with a key of yours")
        return
    key = case.at("encryptionConfig", "provider", "keyArn")
    if not key.is_set:
        yield key.fault("Kubernetes secrets are not encrypted with a key of yours")


def _audit(case: Case) -> Iterator[str]:
    node = case.at("enabledClusterLogTypes")
    if "audit" not in node.texts:
        yield node.fault("the audit log is off, so nobody can tell who did what")


def _all_logs(case: Case) -> Iterator[str]:
    node = case.at("enabledClusterLogTypes")
    missing = [kind for kind in LOGS if kind not in node.texts]
    if missing:
        yield node.fault(f"control-plane logs are missing: {', '.join(missing)}")


def _ssh(case: Case) -> Iterator[str]:
    key = case.at("remoteAccess", "ec2SshKey")
    groups = case.at("remoteAccess", "sourceSecurityGroupIds")
    if key.is_set and not groups.items:
        yield groups.fault("with an SSH key and no source security groups port 22 is open to the internet")


def _private_nodes(case: Case) -> Iterator[str]:
    # A cluster's own subnets hold nodes only in Auto Mode; otherwise they hold its network interfaces.
    is_cluster = case.resource.kind == CLUSTER
    if is_cluster and not case.at("computeConfig", "enabled").is_true:
        return
    path = ("vpcConfig", "subnetIds") if is_cluster else ("subnetIds",)
    for subnet in case.referred(SUBNET, *path):
        node = subnet.at("mapPublicIpOnLaunch")
        if node.is_true:
            yield node.fault(f"nodes in subnet {subnet.name} get public addresses")


def _with_logs(faulty: Node, wanted: Sequence[str]) -> Iterator[Change]:
    present = faulty.at("enabledClusterLogTypes").texts
    yield ("enabledClusterLogTypes",), [*present, *(kind for kind in wanted if kind not in present)]


RULES = (
    Rule(
        id="EKS.1",
        title="An EKS cluster's endpoint is not public",
        also=("CIS-5.4.2", "CKV_AWS_39", "nag-EKS1"),
        severity="high",
        governs=(CLUSTER,),
        decides=("vpcConfig", "endpointPublicAccess"),
        absent_is_fault=True,
        why="A public endpoint leaves the API server one stolen credential away from anyone on the internet.",
        fix="Set `vpcConfig.endpointPublicAccess` to false and `endpointPrivateAccess` to true; reach "
        "the cluster from "
        "a runner inside the VPC. No remediation: it could lock out who deploys from outside.",
        judge=_endpoint,
        fails=_cluster(
            "vpcConfig", value={"endpointPublicAccess": True, "publicAccessCidrs": ["192.0.2.0/28"]}
        ),
        passes=(Declared(CLUSTER, GOOD_CLUSTER),),
    ),
    Rule(
        id="CKV_AWS_38",
        title="An EKS cluster's public endpoint is never open to every address",
        also=("CIS-5.4.1",),
        severity="high",
        governs=(CLUSTER,),
        decides=("vpcConfig", "publicAccessCidrs"),
        absent_is_fault=True,
        why="Where an endpoint has to be public, a list of addresses is what is left between it and "
        "everyone.",
        fix="List the addresses that need it in `vpcConfig.publicAccessCidrs`, or make the endpoint private.",
        judge=_public_cidrs,
        fails=_cluster("vpcConfig", value={"endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}),
        passes=_cluster(
            "vpcConfig", value={"endpointPublicAccess": True, "publicAccessCidrs": ["192.0.2.0/28"]}
        ),
    ),
    Rule(
        id="EKS.2",
        title="An EKS cluster runs a supported Kubernetes version",
        also=("CKV_AWS_339",),
        severity="high",
        governs=(CLUSTER,),
        decides=("version",),
        absent_is_fault=False,
        why="Versions out of standard support get late patches at six times the price, then are "
        "upgraded by force. "
        "Without `version` EKS takes its default, which is supported.",
        fix="Upgrade one minor version at a time to a supported `version`.",
        judge=_version,
        options={
            "minimumVersion": Option({"type": "string", "pattern": r"^1\.\d+$"}, "1.33"),
        },
        fails=_cluster("version", value="1.24"),
        passes=(Declared(CLUSTER, GOOD_CLUSTER),),
    ),
    Rule(
        id="EKS.3",
        title="Kubernetes secrets are encrypted with KMS",
        also=("CIS-5.3.1", "CKV_AWS_58"),
        severity="medium",
        governs=(CLUSTER,),
        decides=("encryptionConfig", "resources"),
        absent_is_fault=True,
        why="A key of yours means that access to secrets can be audited and withdrawn.",
        fix="Set `encryptionConfig` with `secrets` as its resources and a key's ARN. No remediation: it "
        "can't know the key, and encryption can't be taken back.",
        judge=_secrets,
        fails=_cluster("encryptionConfig", value={"provider": {"keyArn": KEY}, "resources": []}),
        passes=(Declared(CLUSTER, GOOD_CLUSTER),),
    ),
    Rule(
        id="EKS.8",
        title="An EKS cluster's audit log is on",
        also=("CIS-2.1.1",),
        severity="medium",
        governs=(CLUSTER,),
        decides=("enabledClusterLogTypes",),
        absent_is_fault=True,
        why="Without the audit log nobody can tell afterwards who changed or read what.",
        fix='Add "audit" to `enabledClusterLogTypes`.',
        judge=_audit,
        remedy=lambda faulty: _with_logs(faulty, ("audit",)),
        fails=_cluster("enabledClusterLogTypes", value=["api"]),
        passes=(Declared(CLUSTER, GOOD_CLUSTER),),
    ),
    Rule(
        id="CKV_AWS_37",
        title="All five control-plane logs of an EKS cluster are on",
        also=("nag-EKS2",),
        severity="medium",
        governs=(CLUSTER,),
        decides=("enabledClusterLogTypes",),
        absent_is_fault=True,
        why="Each log answers another question when the control plane misbehaves, and none can be had "
        "afterwards.",
        fix=f"Set `enabledClusterLogTypes` to {', '.join(LOGS)}.",
        judge=_all_logs,
        remedy=lambda faulty: _with_logs(faulty, LOGS),
        fails=_cluster("enabledClusterLogTypes", value=["audit"]),
        passes=(Declared(CLUSTER, GOOD_CLUSTER),),
    ),
    Rule(
        id="CKV_AWS_100",
        title="Nodes of an EKS node group are not open to SSH from everywhere",
        severity="high",
        governs=(NODE_GROUP,),
        decides=("remoteAccess",),
        absent_is_fault=False,
        why="A node group with a key and no source groups gets a security group with port 22 open to "
        "the internet.",
        fix="Drop `remoteAccess` (Session Manager needs no port), or name `sourceSecurityGroupIds`.",
        judge=_ssh,
        fails=(Declared(NODE_GROUP, GOOD_NODE_GROUP | {"remoteAccess": {"ec2SshKey": "ops"}}),),
        passes=(
            Declared(
                NODE_GROUP,
                GOOD_NODE_GROUP | {"remoteAccess": {"ec2SshKey": "ops", "sourceSecurityGroupIds": ["sg-1"]}},
            ),
        ),
    ),
    Rule(
        id="CIS-5.4.3",
        title="Nodes are in private subnets",
        severity="high",
        governs=(CLUSTER, NODE_GROUP),
        relates=(SUBNET,),
        decides=("mapPublicIpOnLaunch",),
        decides_in=1,
        absent_is_fault=False,
        why="A node with a public address can be reached by anyone that a security group once lets through.",
        fix="Put nodes into subnets with `mapPublicIpOnLaunch` false, behind a NAT gateway.",
        judge=_private_nodes,
        fails=(
            Declared(NODE_GROUP, GOOD_NODE_GROUP),
            Declared(SUBNET, {"id": "subnet-1", "mapPublicIpOnLaunch": True, "tags": TAGS}, "public"),
        ),
        passes=(
            Declared(NODE_GROUP, GOOD_NODE_GROUP),
            Declared(SUBNET, {"id": "subnet-1", "mapPublicIpOnLaunch": False, "tags": TAGS}, "private"),
        ),
    ),
)
