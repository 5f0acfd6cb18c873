"""Whole environments, as they are shipped: what is made, in which order, who gets in, and what stays."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from headrace.aws import Foundation, ManagedStack, ManagedStackArgs
from headrace.aws.foundation import tags_of
from headrace.environment import DeclarationError, Environment
from headrace.errors import HeadraceError
from headrace.image_manifests import manifests_file
from headrace.plan.aws import aws_plan
from headrace.plan.aws.cluster_names import JOBMANAGERS
from headrace.plan.aws.compute import LIMIT_TO_NEED
from headrace.provider.aws.agents.pods import VERIFICATION
from headrace.toolchain.environments import AGENTS
from headrace_agents.describing import manifest_of
from headrace_agents.manifest import Manifests
from tests.components.aws.cloud import (
    EXISTING_CLUSTER,
    FOUNDATION,
    NAMED_FURTHER,
    REGION,
    TAGS,
    Cloud,
    arn,
    assert_house_rules,
    built,
    inputs,
    kinds,
)
from tests.components.aws.managed import (
    ENVIRONMENTS,
    EXISTING,
    foundation_of,
    managed,
    recorded,
    shipped,
    stack_of,
    with_plugin,
)
from tests.components.recording import Registered, registered
from tests.unit.environment.declarations import DIGEST, on_aws, parsed

ROSTER = "headrace-aws:index:Roster"
UPGRADE = "headrace-aws:index:AgentUpgrade"
FLINK = "kubernetes:flink.apache.org/v1beta1:FlinkDeployment"
EKS, CONNECTOR = "aws:eks/cluster:Cluster", "aws:mskconnect/connector:Connector"
PROVIDER, RELEASE = "pulumi:providers:kubernetes", "kubernetes:helm.sh/v3:Release"

both = pytest.mark.parametrize("environment", ENVIRONMENTS)


def changed(environment: Environment, **substrate: Any) -> Environment:
    return environment.model_copy(update={"substrate": environment.aws.model_copy(update=substrate)})


@pytest.mark.parametrize("stack", ["dev", "prod", "prod-foundation"])
def test_exactly_these_resources(stack: str, snapshot: SnapshotAssertion) -> None:
    of, _, foundation = stack.partition("-")
    made = foundation_of(of) if foundation else stack_of(of)
    assert sorted(made) == snapshot(extension_class=JSONSnapshotExtension)


@both
def test_all_are_children_named_and_tagged_alike(environment: str) -> None:
    stack = recorded(environment)
    tags = TAGS.__class__(environment=environment, owner="data-platform", cost_centre="4711")
    further = {found["parent"] for found in stack.values() if found["parent"] == environment}
    assert further == {environment}
    assert_house_rules(stack, environment, tags)
    assert {key.split()[0] for key in stack} >= NAMED_FURTHER


@both
def test_everything_is_in_the_declared_region_and_cluster(environment: str) -> None:
    stack = recorded(environment)
    assert inputs(stack, "pulumi:providers:aws", f"{environment}-aws")["region"] == REGION
    for key, found in stack.items():
        if key.startswith(("aws:", "kubernetes:")):
            kind = "kubernetes" if key.startswith("kubernetes:") else "aws"
            assert found["provider"] == f"{environment}-{kind}", key


def test_production_stands_on_its_foundation_and_development_needs_none() -> None:
    of_a_foundation = {kind for kind in kinds(foundation_of("prod")) if kind.startswith("aws:ec2/")}
    assert of_a_foundation >= {"aws:ec2/vpc:Vpc", "aws:ec2/natGateway:NatGateway"}
    assert {kind for kind in kinds(stack_of("prod")) if kind.startswith("aws:ec2/")} == {
        "aws:ec2/securityGroup:SecurityGroup"
    }
    assert of_a_foundation <= kinds(stack_of("dev")).keys()
    assert not any("codebuild" in kind for kind in kinds(stack_of("dev")))
    with pytest.raises(HeadraceError) as refused:
        built(lambda: Foundation("dev", aws_plan(shipped("dev"))))
    assert str(refused.value) == (
        "environment dev: given a public endpoint; allowed: a private one, as what is public needs no "
        "foundation: run its own stack"
    )


def test_the_platform_is_built_on_what_the_foundation_left() -> None:
    stack = stack_of("prod")
    subnets = FOUNDATION["private_subnet_ids"]
    assert inputs(stack, EKS, "prod-cluster")["vpcConfig"]["subnetIds"] == subnets
    brokers = inputs(stack, "aws:msk/cluster:Cluster", "prod-kafka")
    assert brokers["brokerNodeGroupInfo"]["clientSubnets"] == subnets
    look = inputs(stack, "headrace-aws:index:Preflight", "prod-support-preflight")
    assert look["client"] == FOUNDATION["runner_security_group_id"]
    runner = inputs(stack, "aws:eks/accessEntry:AccessEntry", "prod-access-runner")
    assert runner["principalArn"] == FOUNDATION["runner_role_arn"]
    api = inputs(stack, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "prod-api-runner")
    assert api["referencedSecurityGroupId"] == FOUNDATION["runner_security_group_id"]


def test_the_foundation_leaves_word_of_what_it_made() -> None:
    left = inputs(foundation_of("prod"), "aws:ssm/parameter:Parameter", "prod-foundation")
    assert (left["name"], left["type"]) == ("/headrace/prod/foundation", "String")
    assert json.loads(left["insecureValue"]) == {
        "vpc_id": "prod-vpc",
        "private_subnet_ids": ["prod-private-0", "prod-private-1", "prod-private-2"],
        "runner_role_arn": arn("aws:iam/role:Role", "prod-runner"),
        "runner_security_group_id": "prod-runner",
    }


def test_an_update_without_a_foundation_is_refused_with_what_comes_first() -> None:
    with pytest.raises(HeadraceError) as refused:
        managed(shipped("prod"), foundation=None)
    assert str(refused.value) == (
        "environment prod: given no foundation, as there is no parameter /headrace/prod/foundation; "
        "allowed: after `pulumi up --stack prod-foundation`"
    )


@pytest.mark.parametrize("foundation", [None, FOUNDATION])
def test_a_preview_from_outside_asks_the_private_api_nothing(foundation: dict[str, Any] | None) -> None:
    stack = managed(shipped("prod"), preview=True, foundation=foundation)
    assert stack.keys() == stack_of("prod").keys()
    assert pulumi.contains_unknowns(inputs(stack, PROVIDER, "prod-kubernetes")["kubeconfig"])
    subnets = inputs(stack, EKS, "prod-cluster")["vpcConfig"]["subnetIds"]
    assert pulumi.contains_unknowns(subnets) == (foundation is None)


def test_the_runner_and_a_public_endpoint_preview_with_the_api(tmp_path: Path) -> None:
    plan = with_plugin(aws_plan(shipped("prod")), tmp_path)
    args = ManagedStackArgs(plan=plan, project=tmp_path, inside=True)
    inside = registered(lambda: ManagedStack("prod", args), Cloud(), preview=True)
    for stack, name in ((inside, "prod"), (managed(shipped("dev"), preview=True), "dev")):
        assert json.loads(inputs(stack, PROVIDER, f"{name}-kubernetes")["kubeconfig"])["kind"] == "Config"


def test_a_preview_refuses_a_table_that_an_agent_can_not_read(tmp_path: Path) -> None:
    environment = shipped("dev")
    (source,) = environment.sources
    tables = [
        table.model_copy(update={"columns": {**table.columns, "body": "bigint"}})
        if table.name == "public.tickets"
        else table
        for table in source.tables
    ]
    mistyped = environment.model_copy(
        update={"sources": (source.model_copy(update={"tables": tuple(tables)}),)}
    )
    plan = with_plugin(aws_plan(mistyped), tmp_path)
    args = ManagedStackArgs(plan=plan, project=tmp_path, agents_python=AGENTS.python)

    with pytest.raises(DeclarationError, match=r"public\.tickets has column body, bigint, which"):
        registered(lambda: ManagedStack("dev", args), Cloud(), preview=True)

    foreign = [
        agent.model_copy(update={"spec": agent.spec.model_copy(update={"entry_point": "elsewhere.a:Agent"})})
        for agent in plan.agents
    ]
    elsewhere = args.plan.model_copy(update={"agents": tuple(foreign)})
    assert registered(lambda: ManagedStack("dev", replace(args, plan=elsewhere)), Cloud(), preview=True)


def test_a_network_that_is_there_is_taken_with_its_blocks() -> None:
    there = {
        "vpc_id": "vpc-0123456789abcdef0",
        "private_subnet_ids": [f"subnet-{at:017x}" for at in range(3)],
    }
    endpoint = {"access": "public", "cidrs": ["198.51.100.0/24"]}
    for given in ({}, {"endpoint": endpoint}):
        environment = parsed(on_aws(network=there, **given))
        stack = managed(environment, foundation=FOUNDATION | there)
        assert "aws:ec2/vpc:Vpc" not in kinds(stack)
        assert inputs(stack, EKS, "local-cluster")["vpcConfig"]["subnetIds"] == there["private_subnet_ids"]
        (_, _, kafka, *_) = inputs(
            stack,
            "kubernetes:networking.k8s.io/v1:NetworkPolicy",
            "local-support-triage-traffic-out",
        )["spec"]["egress"]
        assert kafka["to"] == [{"ipBlock": {"cidr": "10.20.0.0/20"}}] * 3


# --- In a cluster that is there


def in_shared(access: str, **cluster: Any) -> Registered:
    """A stack in a network and a cluster that are there."""
    there = EXISTING["network"]
    place = EXISTING_CLUSTER["vpcConfig"] | {"vpcId": there["vpc_id"]}
    environment = parsed(on_aws(**EXISTING, endpoint={"access": access}))
    described = EXISTING_CLUSTER | {"vpcConfig": place} | cluster
    return managed(environment, foundation=FOUNDATION | there, cluster=described)


@pytest.mark.parametrize("access", ["private", "public"])
def test_exactly_these_resources_in_a_cluster_that_is_there(access: str, snapshot: SnapshotAssertion) -> None:
    stack = in_shared(access)
    assert sorted(stack) == snapshot(extension_class=JSONSnapshotExtension)
    assert_house_rules(stack, "local", tags_of(aws_plan(parsed(on_aws()))))


@pytest.mark.parametrize("access", ["private", "public"])
def test_in_a_cluster_that_is_there_all_is_the_environments_own_and_goes_to_its_own_nodes(
    access: str,
) -> None:
    stack = in_shared(access)
    assert not kinds(stack).keys() & {EKS, "kubernetes:core/v1:ConfigMapPatch"}
    spaces = set()
    for key, found in stack.items():
        metadata = found["inputs"].get("metadata") or {}
        if key.startswith("kubernetes:core/v1:Namespace "):
            spaces.add(metadata["name"])
        elif key.startswith("kubernetes:") and "namespace" not in metadata and RELEASE not in key:
            assert metadata["name"].startswith("local-"), key
    assert spaces == {"local-flink", "local-flink-operator", "local-observability"}
    used = {
        found["inputs"]["metadata"]["namespace"]
        for key, found in stack.items()
        if "namespace" in (found["inputs"].get("metadata") or {})
    }
    assert used == spaces
    for key, found in stack.items():
        if key.startswith("aws:eks/"):
            assert found["inputs"]["clusterName"] == "shared", key
    job = inputs(stack, FLINK, "local-support-triage")["spec"]
    for kind in ("jobManager", "taskManager"):
        selected = job[kind]["podTemplate"]["spec"]["nodeSelector"]
        assert selected == {"headrace.dev/role": f"local-{kind.lower()}s"}
    release = inputs(stack, RELEASE, "local-operator")
    assert release["namespace"] == "local-flink-operator"
    assert release["values"]["watchNamespaces"] == ["local-flink"]
    assert release["values"]["operatorPod"]["nodeSelector"] == {"headrace.dev/role": "local-jobmanagers"}


def test_the_runner_is_let_into_a_cluster_that_is_there_and_admins_have_to_be() -> None:
    for access, who in (("private", {FOUNDATION["runner_role_arn"]}), ("public", set[str]())):
        stack = in_shared(access)
        given = {
            found["inputs"]["principalArn"]
            for key, found in stack.items()
            if key.startswith("aws:eks/accessEntry:AccessEntry ")
        }
        assert given == who | {arn("aws:iam/role:Role", "local-cluster-node")}


@pytest.mark.parametrize("access", ["private", "public"])
def test_a_cluster_that_is_not_fit_is_refused_by_the_platform(access: str) -> None:
    with pytest.raises(HeadraceError, match="cluster shared: given one without EKS Auto Mode"):
        in_shared(access, computeConfigs=[])


def test_the_foundation_refuses_a_cluster_that_is_not_fit_and_lets_its_runner_look_at_it_alone() -> None:
    plan = aws_plan(parsed(on_aws(**EXISTING)))
    vpc = EXISTING_CLUSTER["vpcConfig"] | {"vpcId": plan.network.vpc_id}
    cloud = Cloud(cluster=EXISTING_CLUSTER | {"vpcConfig": vpc})
    stack = registered(lambda: Foundation("local", plan), cloud)
    assert not any(key.startswith(("aws:eks/", "kubernetes:", "pulumi:providers:k")) for key in stack)
    told = "".join(
        found["inputs"]["policy"] for key, found in stack.items() if key.startswith("aws:iam/policy:Policy ")
    )
    assert f"arn:aws:eks:{REGION}:111122223333:cluster/shared" in told
    assert "eks:DeleteCluster" not in told
    with pytest.raises(HeadraceError) as refused:
        built(lambda: Foundation("local", plan))
    assert str(refused.value) == (
        "cluster shared: given one in vpc-1; allowed: one in vpc-1234567890abcdef0, the network's, where the "
        "brokers are"
    )


def test_without_an_image_there_is_a_repository_and_no_agent() -> None:
    stack = managed(changed(shipped("dev"), agents_image=None))
    of_agents = {
        key
        for key in stack_of("dev")
        if " dev-support-triage" in key or " dev-order-risk" in key
        if not key.startswith("aws:msk/topic:Topic ")
    }
    assert of_agents
    assert set(stack_of("dev")) - set(stack) == of_agents
    assert "aws:ecr/repository:Repository dev-agents" in stack


def test_an_agent_that_goes_needs_a_word() -> None:
    declared = shipped("dev")
    gone = declared.model_copy(update={"agents": declared.agents[:1], "agents_removed": ("order-risk",)})
    told = [inputs(managed(each), ROSTER, "dev") for each in (declared, gone)]
    assert told == [
        {"declared": ["support-triage", "order-risk"], "removed": []},
        {"declared": ["support-triage"], "removed": ["order-risk"]},
    ]


def test_a_model_on_bedrock_is_called_within_the_network_by_its_own_agent_alone() -> None:
    declaration = on_aws(endpoint={"access": "public", "cidrs": ["198.51.100.0/24"]})
    model = {"provider": "bedrock", "region": REGION, "name": "some.model-v1:0"}
    declaration["agents"][0]["model"] = model
    stack = managed(parsed(declaration))
    assert "aws:ec2/vpcEndpoint:VpcEndpoint local-bedrock-runtime" in stack
    rights = {
        agent: inputs(stack, "aws:iam/rolePolicy:RolePolicy", f"local-{agent}-identity")["policy"]
        for agent in ("support-triage", "order-risk")
    }
    assert f"arn:aws:bedrock:{REGION}::foundation-model/some.model-v1:0" in rights["support-triage"]
    assert "bedrock" not in rights["order-risk"]


def test_traces_go_to_the_stacks_own_collector_which_pods_then_reach() -> None:
    traced = parsed(on_aws(endpoint={"access": "public", "cidrs": ["198.51.100.0/24"]}) | {"tracing": {}})
    (agent, *_) = traced.agents
    for environment, reached in ((traced, True), (traced.model_copy(update={"tracing": None}), False)):
        stack = managed(environment)
        policy = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
        rules = inputs(stack, policy, f"local-{agent.name}-traffic-out")["spec"]["egress"]
        assert (4317 in {each["port"] for rule in rules for each in rule["ports"]}) == reached
        kind = "kubernetes:flink.apache.org/v1beta1:FlinkDeployment"
        pod = inputs(stack, kind, f"local-{agent.name}")["spec"]["jobManager"]["podTemplate"]
        told = json.loads(pod["metadata"]["annotations"]["headrace.dev/job"])["tracing"]
        receiver = {"endpoint": "http://collector.observability.svc:4317", "share": 1.0}
        assert told == (receiver if reached else None)


# --- Order


@both
def test_nothing_is_used_before_it_is_there(environment: str) -> None:
    def needs(kind: str, name: str) -> set[str]:
        return set(stack_of(environment)[f"{kind} {name}"]["depends_on"])

    topics = {f"{environment}-{topic.name}" for topic in aws_plan(shipped(environment)).topics}
    agents = [agent.name for agent in shipped(environment).agents]
    storage = {f"{environment}-artifacts", f"{environment}-checkpoints"}
    capture = needs("headrace:aws:ChangeCapture", environment)
    assert topics | storage | {f"{environment}-kafka", f"{environment}-kafka-clients"} <= capture
    pools = {key.split()[1] for key in stack_of(environment) if "NodePool " in key}
    for agent in agents:
        waits = needs("headrace:aws:FlinkApplication", f"{environment}-{agent}")
        assert topics | storage | pools <= waits
        assert {f"{environment}-operator", f"{environment}-flink"} <= waits
    operator = needs("headrace:aws:FlinkOperator", f"{environment}-operator")
    assert pools | {f"{environment}-flink", f"{environment}-flink-operator"} <= operator


def test_pods_wait_for_the_way_out_of_a_network_that_is_made_with_them() -> None:
    waits = set(stack_of("dev")["headrace:aws:FlinkOperator dev-operator"]["depends_on"])
    assert {"dev-nat-0", "dev-private-0", "dev-s3", "dev-ecr-dkr"} <= waits


# --- Who gets in


def test_the_endpoint_is_private_in_production_and_for_declared_blocks_in_development() -> None:
    prod, dev = (inputs(stack_of(name), EKS, f"{name}-cluster")["vpcConfig"] for name in ENVIRONMENTS[::-1])
    assert (prod["endpointPrivateAccess"], prod["endpointPublicAccess"]) == (True, False)
    assert "publicAccessCidrs" not in prod
    assert (dev["endpointPrivateAccess"], dev["endpointPublicAccess"]) == (True, True)
    assert dev["publicAccessCidrs"] == ["198.51.100.0/24"]


@both
def test_nothing_lets_the_world_in(environment: str) -> None:
    for key, found in recorded(environment).items():
        given = found["inputs"]
        if "IngressRule" in key:
            assert given.get("cidrIpv4", "10.0.0.0/8").startswith("10."), key
        if "NetworkPolicy" in key:
            assert "0.0.0.0/0" not in json.dumps(given["spec"].get("ingress", [])), key
        assert given.get("mapPublicIpOnLaunch", False) is False, key


@both
def test_who_may_use_the_cluster_is_who_is_declared(environment: str) -> None:
    access = shipped(environment).aws.access
    given = {
        found["inputs"]["principalArn"]: found["inputs"]["policyArn"].rpartition("/")[2]
        for key, found in stack_of(environment).items()
        if "AccessPolicyAssociation" in key
    }
    runner = {FOUNDATION["runner_role_arn"]} if environment == "prod" else set[str]()
    admins = dict.fromkeys({*access.admins, *runner}, "AmazonEKSClusterAdminPolicy")
    node = {arn("aws:iam/role:Role", f"{environment}-cluster-node"): "AmazonEKSAutoNodePolicy"}
    assert given == admins | dict.fromkeys(access.viewers, "AmazonEKSViewPolicy") | node


# --- What stays


def test_what_holds_data_is_protected_in_production_and_goes_in_development() -> None:
    assert {key.split()[0] for key, found in recorded("prod").items() if found.get("protected")} == {
        "aws:s3/bucket:Bucket",
        "aws:kms/key:Key",
        "aws:msk/cluster:Cluster",
        "aws:msk/topic:Topic",
        EKS,
        "aws:ecr/repository:Repository",
    }
    assert not any(found.get("protected") for found in recorded("dev").values())
    for environment, goes in (("dev", True), ("prod", False)):
        buckets = [
            found["inputs"] for key, found in recorded(environment).items() if "s3/bucket:Bucket" in key
        ]
        assert all(bucket["forceDestroy"] is goes for bucket in buckets)


def test_jobmanagers_run_on_demand_and_no_more_is_on_spot_than_the_objective_allows() -> None:
    def capacity(environment: str) -> dict[str, str]:
        return {
            key.split()[1].removeprefix(f"{environment}-nodes-"): need["values"][0]
            for key, found in stack_of(environment).items()
            if "NodePool " in key
            for need in found["inputs"]["spec"]["template"]["spec"]["requirements"]
            if need["key"] == "karpenter.sh/capacity-type"
        }

    assert capacity("dev") == {"jobmanagers": "on-demand", "taskmanagers-spot": "spot"}
    assert capacity("prod") == {
        "jobmanagers": "on-demand",
        "taskmanagers": "on-demand",
        "taskmanagers-spot": "spot",
    }


# --- Secrets

REFERENCE = re.compile(r"\$\{secretsmanager:[^:}]+:password\}")


@both
def test_no_secret_is_in_any_property(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "do-not-pass-this-on"
    for variable in ("TRIAGE_KEY", "RISK_KEY", "PGPASSWORD", "PULUMI_CONFIG_PASSPHRASE"):
        monkeypatch.setenv(variable, secret)
    stack: Registered = managed(shipped(environment))
    assert secret not in json.dumps(stack, default=vars)
    passwords = [
        (key, name, value) for key, found in stack.items() for name, value in leaves(found["inputs"])
    ]
    named = [(key, name, value) for key, name, value in passwords if re.search("password|api_?key$", name)]
    assert [value for _key, name, value in named if name.endswith("database.password")]
    for key, name, value in named:
        assert REFERENCE.fullmatch(str(value)), (key, name)


def leaves(value: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{name}.{key}")]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner, name)]
    return [(name, value)]


# --- What a person gets


def outputs_of(environment: str, folder: Path) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    args = ManagedStackArgs(plan=with_plugin(aws_plan(shipped(environment)), folder), project=folder)
    built(lambda: pulumi.Output.all(**ManagedStack(environment, args).outputs).apply(found.append))
    return found[0]


def test_outputs_say_how_everything_is_reached(tmp_path: Path) -> None:
    told = outputs_of("prod", tmp_path)
    assert told["brokers"] == "b-1.example:9098,b-2.example:9098"
    assert set(told["buckets"]) == {"checkpoints", "savepoints", "high-availability", "artifacts"}
    assert told["flink"]["support-triage"] == (
        "kubectl --namespace flink port-forward service/support-triage-rest 8081:8081"
    )
    access = shipped("prod").aws.access
    for role, arns in (("admin", access.admins), ("view", access.viewers)):
        assert told["kubeconfigs"][role].keys() == set(arns)
        for one in arns:
            (user,) = json.loads(told["kubeconfigs"][role][one])["users"]
            assert user["user"]["exec"]["args"][-2:] == ["--role-arn", one]
    for stage in ("foundation", "platform"):
        assert all(json.loads(text)["Statement"] for text in told["policies"][stage])


def test_the_chart_is_named_from_the_programs_folder_and_not_by_a_machines_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "stacks"
    program.mkdir()
    monkeypatch.chdir(program)
    plan = with_plugin(aws_plan(shipped("dev")), tmp_path)
    stack = built(lambda: ManagedStack("dev", ManagedStackArgs(plan=plan, project=tmp_path)))
    chart = inputs(stack, RELEASE, "dev-operator")["chart"]
    assert chart == f"../{plan.operator.chart}"


def test_an_agent_has_the_manifest_that_was_written_down_of_its_image(tmp_path: Path) -> None:
    plan = with_plugin(aws_plan(shipped("dev")), tmp_path)
    args = ManagedStackArgs(plan=plan, project=tmp_path)
    known = manifest_of(plan.agents[0].spec.entry_point)
    assert plan.agents_image
    file = manifests_file(tmp_path, plan.agents_image)
    file.parent.mkdir(parents=True)
    file.write_text(Manifests(agents={known.entry_point: known}).canonical())

    stack = built(lambda: ManagedStack("dev", args))
    told = {agent.name: inputs(stack, UPGRADE, f"dev-{agent.name}")["manifest"] for agent in plan.agents}
    assert told == {
        agent.name: known.canonical() if agent.spec.entry_point == known.entry_point else ""
        for agent in plan.agents
    }

    # What can't be read stops nothing.
    file.write_text("{}")
    stack = built(lambda: ManagedStack("dev", args))
    assert {inputs(stack, UPGRADE, f"dev-{agent.name}")["manifest"] for agent in plan.agents} == {""}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_all_agents_can_be_verified_at_once_beside_what_runs(environment: str) -> None:
    plan = aws_plan(shipped(environment))
    (pool,) = [each for each in plan.cluster.node_pools if each.name.endswith(JOBMANAGERS)]
    spare = 1 - 1 / LIMIT_TO_NEED
    requests = VERIFICATION["requests"]
    assert requests == {"cpu": "1", "memory": "2Gi"}
    assert spare * pool.vcpu_limit >= len(plan.agents)
    assert spare * pool.memory_limit_mib >= len(plan.agents) * 2048


def test_an_agent_runs_the_declared_image_from_the_stacks_repository() -> None:
    spec = inputs(stack_of("prod"), FLINK, "prod-order-risk")["spec"]
    assert spec["image"] == f"registry.example/prod-agents@{DIGEST}"
