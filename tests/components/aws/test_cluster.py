"""The cluster: who reaches it, what is encrypted and logged, and which nodes there may be."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pulumi
import pytest

from headrace.aws import Cluster, ClusterArgs
from headrace.aws.cluster_roles import CLUSTER_POLICIES, NODE_POLICIES
from headrace.aws.names import digest
from headrace.errors import HeadraceError
from headrace.plan.aws.model import ClusterPlan
from tests.components.aws.cloud import (
    REGION,
    TAGS,
    Cloud,
    arn,
    assert_house_rules,
    built,
    inputs,
    kinds,
    statements,
)
from tests.components.aws.planned import planned
from tests.components.recording import Registered, registered

PRIVATE = planned(spot=True).cluster
CIDRS = ["198.51.100.0/24"]
PUBLIC = planned(endpoint={"access": "public", "cidrs": CIDRS}).cluster
DEPLOYER = "arn:aws:iam::111122223333:role/deployer"
READER = "arn:aws:iam::111122223333:role/reader"
CLUSTER = "aws:eks/cluster:Cluster"
POOL, NODE_CLASS = "kubernetes:karpenter.sh/v1:NodePool", "kubernetes:eks.amazonaws.com/v1:NodeClass"
ENTRY = "aws:eks/accessEntry:AccessEntry"
ASSOCIATION = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"


def arguments(**changed: Any) -> ClusterArgs:
    args: dict[str, Any] = {
        "cluster": PRIVATE,
        "subnet_ids": ["subnet-a", "subnet-b", "subnet-c"],
        "access": {DEPLOYER: "admin"},
        "protect": True,
        "log_days": 30,
        "tags": TAGS,
    }
    return ClusterArgs(**args | changed)


def cluster(name: str = "dev", **changed: Any) -> Registered:
    return built(lambda: Cluster(name, arguments(**changed)))


def with_spot(share: float) -> ClusterPlan:
    jobmanagers, taskmanagers = PRIVATE.node_pools
    pools = (jobmanagers, taskmanagers.model_copy(update={"spot_share": share}))
    return PRIVATE.model_copy(update={"node_pools": pools})


@pytest.mark.parametrize(
    ("changed", "people", "pools"),
    [
        ({}, 1, 3),
        ({"cluster": PUBLIC}, 1, 2),
        ({"access": {DEPLOYER: "admin", READER: "view"}, "cluster": with_spot(1.0)}, 2, 2),
    ],
)
def test_exactly_these_resources(changed: dict[str, Any], people: int, pools: int) -> None:
    stack = cluster(**changed)
    assert kinds(stack) == Counter(
        {
            "headrace:aws:Cluster": 1,
            "headrace:aws:ClusterRoles": 1,
            "headrace:aws:NodePools": 1,
            CLUSTER: 1,
            "aws:cloudwatch/logGroup:LogGroup": 1,
            "aws:kms/key:Key": 1,
            "aws:kms/alias:Alias": 1,
            "aws:iam/role:Role": 2,
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment": len(CLUSTER_POLICIES + NODE_POLICIES),
            ENTRY: people + 1,
            ASSOCIATION: people + 1,
            "pulumi:providers:kubernetes": 1,
            NODE_CLASS: 1,
            "kubernetes:core/v1:ConfigMap": 1,
            POOL: pools,
        }
    )
    assert_house_rules(stack, "dev")


def test_a_private_endpoint_is_reached_from_within_the_vpc_alone() -> None:
    endpoint = inputs(cluster(), CLUSTER, "dev-cluster")["vpcConfig"]
    assert (endpoint["endpointPrivateAccess"], endpoint["endpointPublicAccess"]) == (True, False)
    assert "publicAccessCidrs" not in endpoint
    assert endpoint["subnetIds"] == ["subnet-a", "subnet-b", "subnet-c"]


def test_a_public_endpoint_is_reached_from_the_declared_blocks_alone() -> None:
    endpoint = inputs(cluster(cluster=PUBLIC), CLUSTER, "dev-cluster")["vpcConfig"]
    assert (endpoint["endpointPrivateAccess"], endpoint["endpointPublicAccess"]) == (True, True)
    assert endpoint["publicAccessCidrs"] == CIDRS


def test_security_groups_that_are_named_reach_the_api_and_nothing_else() -> None:
    rule = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    assert not any(key.startswith(rule) for key in cluster())
    way_in = inputs(cluster(api_clients={"runner": "sg-runner"}), rule, "dev-api-runner")
    assert (way_in["securityGroupId"], way_in["referencedSecurityGroupId"]) == ("sg-cluster", "sg-runner")
    assert (way_in["ipProtocol"], way_in["fromPort"], way_in["toPort"]) == ("tcp", 443, 443)


def test_secrets_are_encrypted_and_everything_the_control_plane_does_is_logged() -> None:
    stack = cluster(log_days=7)
    made = inputs(stack, CLUSTER, "dev-cluster")
    assert made["encryptionConfig"] == {
        "provider": {"keyArn": arn("aws:kms/key:Key", "dev-cluster")},
        "resources": ["secrets"],
    }
    assert inputs(stack, "aws:kms/key:Key", "dev-cluster")["enableKeyRotation"] is True
    assert made["enabledClusterLogTypes"] == [
        "api", "audit", "authenticator", "controllerManager", "scheduler",
    ]  # fmt: skip
    group = inputs(stack, "aws:cloudwatch/logGroup:LogGroup", "dev-cluster")
    assert (group["name"], group["retentionInDays"]) == (f"/aws/eks/{made['name']}/cluster", 7)
    assert "dev-cluster" in stack[f"{CLUSTER} dev-cluster"]["depends_on"]


def test_aws_runs_the_nodes_and_no_pool_but_the_plans_exists() -> None:
    made = inputs(cluster(), CLUSTER, "dev-cluster")
    assert made["computeConfig"] == {"enabled": True}
    assert made["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert made["kubernetesNetworkConfig"] == {"elasticLoadBalancing": {"enabled": True}}
    assert made["bootstrapSelfManagedAddons"] is False


def test_access_is_what_is_declared_and_nodes_are_nodes() -> None:
    stack = cluster(access={READER: "view", DEPLOYER: "admin"})
    assert inputs(stack, CLUSTER, "dev-cluster")["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    given = {
        found["inputs"]["principalArn"]: found["inputs"]["policyArn"].rpartition("/")[2]
        for key, found in stack.items()
        if key.startswith(f"{ASSOCIATION} ")
    }
    node = arn("aws:iam/role:Role", "dev-cluster-node")
    assert given == {
        DEPLOYER: "AmazonEKSClusterAdminPolicy",
        READER: "AmazonEKSViewPolicy",
        node: "AmazonEKSAutoNodePolicy",
    }
    kinds_of_entry = {
        found["inputs"]["principalArn"]: found["inputs"]["type"]
        for key, found in stack.items()
        if key.startswith(f"{ENTRY} ")
    }
    assert kinds_of_entry == {DEPLOYER: "STANDARD", READER: "STANDARD", node: "EC2"}


def test_each_role_is_taken_by_its_own_service() -> None:
    stack = cluster()
    for role, service in {"control": "eks.amazonaws.com", "node": "ec2.amazonaws.com"}.items():
        policy = inputs(stack, "aws:iam/role:Role", f"dev-cluster-{role}")["assumeRolePolicy"]
        (who,) = statements(policy)
        assert who["Principal"] == {"Service": service}


def test_the_kubeconfig_holds_no_credential_and_is_used_once_access_is_given() -> None:
    stack = cluster()
    provider = stack["pulumi:providers:kubernetes dev-kubernetes"]
    config = json.loads(provider["inputs"]["kubeconfig"])
    (user,) = config["users"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["args"][-3:] == [REGION, "--output", "json"]
    assert provider["depends_on"].count("dev-nodes") >= 1
    assert provider["inputs"]["upsertExistingObjects"] == "false"
    assert f"dev-access-{digest(DEPLOYER)}" in provider["depends_on"]
    assert provider["inputs"]["clusterIdentifier"] == arn(CLUSTER, "dev-cluster")


def test_who_takes_a_role_has_a_kubeconfig_of_it() -> None:
    found: list[str] = []
    built(lambda: Cluster("dev", arguments()).kubeconfig_as(READER).apply(found.append))
    (user,) = json.loads(found[0])["users"]
    assert user["user"]["exec"]["args"][-2:] == ["--role-arn", READER]


def test_a_preview_that_does_not_reach_the_api_asks_it_nothing() -> None:
    def provider(*, preview: bool, **changed: Any) -> dict[str, Any]:
        made = registered(lambda: Cluster("dev", arguments(**changed)), Cloud(), preview=preview)
        return inputs(made, "pulumi:providers:kubernetes", "dev-kubernetes")

    assert pulumi.contains_unknowns(provider(preview=True, api_reached=False)["kubeconfig"])
    told = provider(preview=True)["kubeconfig"]
    assert provider(preview=False, api_reached=False)["kubeconfig"] == told
    assert json.loads(told)["kind"] == "Config"


def test_a_runner_administers_the_cluster_and_reaches_its_api() -> None:
    role = {"runner": "arn:aws:iam::111122223333:role/runner"}
    stack = cluster(access={}, administrators=role, api_clients={"runner": "sg-runner"})
    assert inputs(stack, ASSOCIATION, "dev-access-runner")["policyArn"].endswith("ClusterAdminPolicy")
    rule = inputs(stack, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "dev-api-runner")
    assert rule["referencedSecurityGroupId"] == "sg-runner"


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, {"taskmanagers": ("on-demand", 1.0)}),
        (0.5, {"taskmanagers": ("on-demand", 0.5), "taskmanagers-spot": ("spot", 0.5)}),
        (1.0, {"taskmanagers-spot": ("spot", 1.0)}),
    ],
)
def test_pools_have_the_plans_capacity_and_jobmanagers_are_never_on_spot(
    share: float, expected: dict[str, tuple[str, float]]
) -> None:
    stack = cluster(cluster=with_spot(share))
    pools = {key.split()[1]: found["inputs"]["spec"] for key, found in stack.items() if POOL in key}
    plans = {pool.name: pool for pool in PRIVATE.node_pools}
    wanted = {"jobmanagers": ("on-demand", 1.0), **expected}
    assert pools.keys() == {f"dev-nodes-{name}" for name in wanted}
    for name, (capacity, part) in wanted.items():
        spec, plan = pools[f"dev-nodes-{name}"], plans[name.removesuffix("-spot")]
        needs = {each["key"]: each["values"] for each in spec["template"]["spec"]["requirements"]}
        assert needs == {
            "karpenter.sh/capacity-type": [capacity],
            "kubernetes.io/arch": [plan.architecture],
            "eks.amazonaws.com/instance-category": list(plan.instance_categories),
        }
        assert float(spec["limits"]["cpu"]) == pytest.approx(part * plan.vcpu_limit)
        assert spec["limits"]["memory"] == f"{round(part * plan.memory_limit_mib)}Mi"
        assert spec["disruption"]["budgets"] == [{"nodes": "1"}]
        (taint,) = spec["template"]["spec"]["taints"]
        assert (taint["value"], taint["effect"]) == (plan.name, "NoSchedule")


def test_network_policies_are_enforced() -> None:
    made = inputs(cluster(), "kubernetes:core/v1:ConfigMap", "dev-policies")
    assert made["metadata"] == {"name": "amazon-vpc-cni", "namespace": "kube-system"}
    assert made["data"] == {"enable-network-policy-controller": "true"}


def test_nodes_are_in_private_subnets() -> None:
    spec = inputs(cluster(), NODE_CLASS, "dev-nodes-class")["spec"]
    assert spec["subnetSelectorTerms"] == [{"id": "subnet-a"}, {"id": "subnet-b"}, {"id": "subnet-c"}]
    assert spec["securityGroupSelectorTerms"] == [{"id": "sg-cluster"}]
    assert spec["role"] == "dev-cluster-node"
    assert spec["tags"] == TAGS.shared


def test_nodes_are_in_further_groups_where_they_are_given() -> None:
    spec = inputs(cluster(node_security_group_ids=["sg-clients"]), NODE_CLASS, "dev-nodes-class")["spec"]
    assert spec["securityGroupSelectorTerms"] == [{"id": "sg-cluster"}, {"id": "sg-clients"}]


@pytest.mark.parametrize("protect", [True, False])
def test_the_cluster_and_its_key_go_only_when_they_are_not_protected(protect: bool) -> None:
    stack = cluster(protect=protect)
    protected = {key for key, found in stack.items() if found.get("protected")}
    assert protected == ({f"{CLUSTER} dev-cluster", "aws:kms/key:Key dev-cluster"} if protect else set())
    assert inputs(stack, CLUSTER, "dev-cluster")["deletionProtection"] is protect


def test_a_long_name_fits() -> None:
    stack = cluster("a" * 90)
    assert len(inputs(stack, CLUSTER, "a" * 90 + "-cluster")["name"]) <= 100


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"cluster": PRIVATE.model_copy(update={"existing": "shared"})},
            "cluster: given a plan for shared, which is there; allowed: ExistingClusterArgs with it",
        ),
        (
            {"cluster": PRIVATE.model_copy(update={"public_cidrs": ("198.51.100.0/24",)})},
            "cluster: given a private endpoint and 1 public blocks; allowed: one or the other",
        ),
        (
            {"cluster": PUBLIC.model_copy(update={"public_cidrs": ()})},
            "cluster: given a public endpoint for nobody; allowed: blocks that reach it",
        ),
        (
            {"cluster": PUBLIC.model_copy(update={"public_cidrs": ("0.0.0.0/0",)})},
            "cluster: given an endpoint for 0.0.0.0/0; allowed: blocks of your own, not everybody",
        ),
        ({"access": {DEPLOYER: "owner"}}, "cluster: given access owner; allowed: admin, view"),
        (
            {"access": {READER: "view"}},
            "cluster: given nobody with access admin; allowed: at least one principal",
        ),
    ],
)
def test_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        arguments(**changed)
    assert str(refused.value) == message
