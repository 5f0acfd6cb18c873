"""A cluster that is there: what is made for the stack, what is left alone, and which one is refused."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pulumi
import pytest

from headrace.aws import Cluster, ExistingClusterArgs
from headrace.aws.cluster_roles import NODE_POLICIES
from headrace.errors import HeadraceError
from tests.components.aws.cloud import (
    EXISTING_CLUSTER,
    TAGS,
    Cloud,
    arn,
    assert_house_rules,
    inputs,
    kinds,
)
from tests.components.aws.planned import planned
from tests.components.recording import Registered, registered

VPC = "vpc-0123456789abcdef0"
NETWORK = {"vpc_id": VPC, "private_subnet_ids": [f"subnet-{at:017x}" for at in range(3)]}
PRIVATE = planned(cluster={"existing": "shared"}, network=NETWORK).cluster
PUBLIC = planned(cluster={"existing": "shared"}, network=NETWORK, endpoint={"access": "public"}).cluster
RUNNER = "arn:aws:iam::111122223333:role/runner"
ENTRY = "aws:eks/accessEntry:AccessEntry"
ASSOCIATION = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
POOL, NODE_CLASS = "kubernetes:karpenter.sh/v1:NodePool", "kubernetes:eks.amazonaws.com/v1:NodeClass"
PROVIDER = "pulumi:providers:kubernetes"


def arguments(**changed: Any) -> ExistingClusterArgs:
    args: dict[str, Any] = {
        "cluster": PRIVATE,
        "subnet_ids": ["subnet-a", "subnet-b", "subnet-c"],
        "vpc_id": "vpc-1",
        "tags": TAGS,
    }
    return ExistingClusterArgs(**args | changed)


def cluster(
    there: dict[str, Any] | None = None,
    cni: dict[str, str] | None = None,
    *,
    preview: bool = False,
    **changed: Any,
) -> Registered:
    cloud = Cloud(cluster=EXISTING_CLUSTER | (there or {}), **({} if cni is None else {"cni": cni}))
    return registered(lambda: Cluster("dev", arguments(**changed)), cloud, preview=preview)


@pytest.mark.parametrize(
    ("changed", "further"),
    [
        ({}, {}),
        ({"cluster": PUBLIC}, {}),
        (
            {"administrators": {"runner": RUNNER}, "api_clients": {"runner": "sg-runner"}},
            {ENTRY: 1, ASSOCIATION: 1, RULE: 1},
        ),
    ],
)
def test_exactly_these_resources_are_made_for_it(changed: dict[str, Any], further: dict[str, int]) -> None:
    stack = cluster(**changed)
    assert kinds(stack) == Counter(
        {
            "headrace:aws:Cluster": 1,
            "headrace:aws:NodePools": 1,
            "aws:iam/role:Role": 1,
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment": len(NODE_POLICIES),
            ENTRY: 1,
            ASSOCIATION: 1,
            PROVIDER: 1,
            NODE_CLASS: 1,
            POOL: len(PRIVATE.node_pools),
        }
    ) + Counter(further)
    assert_house_rules(stack, "dev")


def test_outputs_are_what_eks_says_of_it() -> None:
    told: list[dict[str, Any]] = []

    def program() -> None:
        made = Cluster("dev", arguments())
        facts = {
            "name": made.name,
            "arn": made.arn,
            "group": made.security_group_id,
            "cidr": made.service_cidr,
            "kubeconfig": made.kubeconfig,
            "as_runner": made.kubeconfig_as(RUNNER),
        }
        pulumi.Output.all(**facts).apply(told.append)

    registered(program, Cloud())
    (found,) = told
    assert (found["name"], found["arn"]) == ("shared", EXISTING_CLUSTER["arn"])
    assert (found["group"], found["cidr"]) == ("sg-shared", "172.20.0.0/16")
    config = json.loads(found["kubeconfig"])
    assert config["clusters"][0]["cluster"] == {
        "server": "https://shared.example",
        "certificate-authority-data": "Q0E=",
    }
    (user,) = config["users"]
    assert set(user["user"]) == {"exec"}
    assert json.loads(found["as_runner"])["users"][0]["user"]["exec"]["args"][-1] == RUNNER


def test_nodes_and_the_runner_get_in_and_nobody_else() -> None:
    stack = cluster(administrators={"runner": RUNNER}, api_clients={"runner": "sg-runner"})
    node = arn("aws:iam/role:Role", "dev-cluster-node")
    given = {
        found["inputs"]["principalArn"]: found["inputs"]["policyArn"].rpartition("/")[2]
        for key, found in stack.items()
        if key.startswith(f"{ASSOCIATION} ")
    }
    assert given == {node: "AmazonEKSAutoNodePolicy", RUNNER: "AmazonEKSClusterAdminPolicy"}
    assert inputs(stack, ENTRY, "dev-nodes")["clusterName"] == "shared"
    way_in = inputs(stack, RULE, "dev-api-runner")
    assert (way_in["securityGroupId"], way_in["referencedSecurityGroupId"]) == ("sg-shared", "sg-runner")
    assert (way_in["ipProtocol"], way_in["fromPort"], way_in["toPort"]) == ("tcp", 443, 443)


def test_names_in_it_begin_with_the_environments_and_pools_keep_others_away() -> None:
    stack = cluster(node_security_group_ids=["sg-clients"])
    node_class = inputs(stack, NODE_CLASS, "dev-nodes-class")
    assert node_class["metadata"] == {"name": "local-headrace"}
    assert node_class["spec"]["securityGroupSelectorTerms"] == [{"id": "sg-shared"}, {"id": "sg-clients"}]
    assert node_class["spec"]["role"] == "dev-cluster-node"
    for role in ("jobmanagers", "taskmanagers"):
        pool = inputs(stack, POOL, f"dev-nodes-local-{role}")
        assert pool["metadata"] == {"name": f"local-{role}"}
        template = pool["spec"]["template"]["spec"]
        assert template["nodeClassRef"]["name"] == "local-headrace"
        assert [(taint["value"], taint["effect"]) for taint in template["taints"]] == [
            (f"local-{role}", "NoSchedule")
        ]


def test_an_object_of_somebody_elses_is_never_taken_over() -> None:
    provider = inputs(cluster(), PROVIDER, "dev-kubernetes")
    assert provider["upsertExistingObjects"] == "false"
    assert provider["clusterIdentifier"] == EXISTING_CLUSTER["arn"]


def with_place(**changed: Any) -> dict[str, Any]:
    return {"vpcConfig": EXISTING_CLUSTER["vpcConfig"] | changed}


NO_AUTO_MODE = (
    "given one without EKS Auto Mode; allowed: with it, as it runs the nodes of the stack's pools and gives "
    "pods their roles"
)
NO_ENTRIES = (
    "given authentication by CONFIG_MAP; allowed: API or API_AND_CONFIG_MAP, as nodes and the runner get in "
    "by access entries"
)
UNFIT: tuple[tuple[dict[str, Any], dict[str, Any], str], ...] = (
    ({"status": "CREATING"}, {}, "given one that is CREATING; allowed: ACTIVE or UPDATING"),
    (
        {"version": "1.29"},
        {},
        "given Kubernetes 1.29; allowed: 1.30 or later, for pods that end in order",
    ),
    *(
        (
            {"computeConfigs": compute},
            {},
            NO_AUTO_MODE,
        )
        for compute in ([], [{"enabled": False, "nodePools": [], "nodeRoleArn": ""}])
    ),
    (
        {"accessConfigs": [{"authenticationMode": "CONFIG_MAP"}]},
        {},
        NO_ENTRIES,
    ),
    (
        with_place(vpcId="vpc-2"),
        {},
        "given one in vpc-2; allowed: one in vpc-1, the network's, where the brokers are",
    ),
    (
        with_place(endpointPrivateAccess=False),
        {},
        "given no private endpoint; allowed: one, as the runner reaches it from within the VPC",
    ),
    (
        with_place(endpointPublicAccess=False),
        {"cluster": PUBLIC},
        "given no public endpoint; allowed: one, as substrate.endpoint.access is `public`",
    ),
    (
        {"kubernetesNetworkConfigs": [{"serviceIpv4Cidr": "", "serviceIpv6Cidr": "fd00::/108"}]},
        {},
        "given services without IPv4; allowed: with it, as network policies name its blocks",
    ),
)


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize(("there", "changed", "message"), UNFIT)
def test_one_that_is_not_fit_is_refused(
    there: dict[str, Any], changed: dict[str, Any], message: str, preview: bool
) -> None:
    with pytest.raises(HeadraceError) as refused:
        cluster(there, preview=preview, **changed)
    assert str(refused.value) == f"cluster shared: {message}"


def test_all_that_is_not_fit_is_said_at_once() -> None:
    with pytest.raises(HeadraceError) as refused:
        cluster({"version": "1.29", "computeConfigs": []})
    assert [line.split(";")[0] for line in str(refused.value).splitlines()] == [
        "cluster shared: given Kubernetes 1.29",
        "cluster shared: given one without EKS Auto Mode",
    ]


@pytest.mark.parametrize("cni", [{}, {"enable-network-policy-controller": "false"}])
def test_one_that_enforces_no_network_policies_is_refused(cni: dict[str, str]) -> None:
    with pytest.raises(HeadraceError) as refused:
        cluster(cni=cni)
    assert str(refused.value) == (
        "cluster shared: given network policies that are not enforced; allowed: "
        "enable-network-policy-controller: true in ConfigMap kube-system/amazon-vpc-cni"
    )


def test_a_preview_that_does_not_reach_the_api_asks_it_nothing() -> None:
    made = inputs(cluster(preview=True, api_reached=False), PROVIDER, "dev-kubernetes")
    assert pulumi.contains_unknowns(made["kubeconfig"])
    told = inputs(cluster(preview=True), PROVIDER, "dev-kubernetes")["kubeconfig"]
    assert json.loads(told)["current-context"] == "shared"


def test_arguments_are_for_a_cluster_that_the_plan_names() -> None:
    with pytest.raises(HeadraceError) as refused:
        arguments(cluster=planned().cluster)
    assert str(refused.value) == (
        "cluster: given a plan for a new cluster; allowed: one that names a cluster that is there, as "
        "substrate.cluster.existing"
    )
