"""The plan on AWS: the same parts, reasoned alike, and what AWS needs beside them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import HealthCheck, given, settings
from rich.console import Console

from headrace.environment import Environment
from headrace.environment.aws_rules import SHARING_MAX_CHARS
from headrace.errors import HeadraceError
from headrace.plan import AwsPlan, StackPlan, plan, plan_of
from headrace.plan.aws import aws_plan
from headrace.plan.aws.kafka import MBPS_OF_LARGE, SIZES
from headrace.plan.aws.summary import aws_cost_drivers, aws_running
from headrace.plan.leaves import leaves
from headrace.plan_document import document
from tests.unit.environment.declarations import aws_environments, on_aws, parsed, shipped
from tests.unit.plan.substrate_options import different

any_environment = given(aws_environments())
quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
VPC_ID = "vpc-0123456789abcdef0"
SUBNETS = [f"subnet-{number:017x}" for number in range(3)]


@quick
@any_environment
def test_every_leaf_has_a_reason_and_the_plan_survives_json(environment: Environment) -> None:
    made = aws_plan(environment)
    assert {leaf.path: leaf.reason for leaf in leaves(made)} == made.reasons
    assert AwsPlan.model_validate_json(made.model_dump_json()) == made
    assert plan_of(environment) == made


@quick
@any_environment
def test_each_agent_has_a_deployment_that_holds_it(environment: Environment) -> None:
    made = aws_plan(environment)
    for deployment, agent in zip(made.deployments, made.agents, strict=True):
        memory = deployment.flink.taskmanager
        parts = (
            memory.framework_heap_mib, memory.framework_offheap_mib, memory.task_heap_mib, memory.network_mib,
            memory.managed_mib, memory.metaspace_mib, memory.jvm_overhead_mib,
        )  # fmt: skip
        assert deployment.name == agent.name
        assert sum(parts) == memory.process_mib
        assert memory.slots * memory.count >= agent.spec.parallelism
        assert deployment.pods.disk_gib * memory.count * 2**30 >= agent.state_bytes
        assert deployment.pods.taskmanager_cpu == memory.slots


@quick
@any_environment
def test_pools_hold_their_pods_and_spot_stays_within_the_objective(environment: Environment) -> None:
    made = aws_plan(environment)
    jobmanagers, taskmanagers = made.cluster.node_pools
    assert jobmanagers.spot_share == 0
    assert 0 <= taskmanagers.spot_share <= 1
    if not environment.aws.spot:
        assert taskmanagers.spot_share == 0
    needed = sum(one.pods.taskmanager_cpu * one.flink.taskmanager.count for one in made.deployments)
    assert taskmanagers.vcpu_limit >= needed
    on_demand = (1 - taskmanagers.spot_share) * sum(one.flink.taskmanager.count for one in made.deployments)
    if environment.recovery.max_recovery.seconds < 120:
        least = sum(
            -(-agent.spec.parallelism // one.flink.taskmanager.slots)
            for one, agent in zip(made.deployments, made.agents, strict=True)
        )
        assert on_demand >= least - 1e-6


@quick
@any_environment
def test_records_have_three_copies_and_go_on_with_one_broker_lost(environment: Environment) -> None:
    made = aws_plan(environment)
    assert made.kafka.brokers >= 3
    assert made.kafka.brokers % made.zones == 0
    for topic in made.topics:
        assert topic.replication == 3
        # Express brokers fix it at 2, and refuse to be told.
        expected = None if made.kafka.kind == "express" else "2"
        assert topic.config.get("min.insync.replicas") == expected


@quick
@any_environment
def test_options_differ_between_substrates_in_the_listed_keys_alone(environment: Environment) -> None:
    """Issue 6 holds what is provisioned to this too."""
    local = plan(environment.model_copy(update={"substrate": parsed(shipped()).substrate}))
    (deployment, *_) = aws_plan(environment).deployments
    assert different(deployment.flink.configuration, local.flink.configuration) == []


@quick
@any_environment
def test_the_autoscaler_goes_by_the_thresholds_that_scaling_has_everywhere(environment: Environment) -> None:
    made = aws_plan(environment)
    local = plan(environment.model_copy(update={"substrate": parsed(shipped()).substrate}))
    assert made.scaling == local.scaling
    for deployment in made.deployments:
        told = deployment.flink.configuration
        band = [float(told[f"job.autoscaler.utilization.{end}"]) for end in ("min", "target", "max")]
        assert band == sorted(band)
        assert band[1] == local.scaling.utilisation_target
        assert told["job.autoscaler.stabilization.interval"] == f"{local.scaling.cooldown_ms} ms"


def test_the_network_is_cut_without_overlap() -> None:
    network = aws_plan(parsed(on_aws())).network
    blocks = [ipaddress.ip_network(block) for block in (*network.private_subnets, *network.public_subnets)]
    assert network.cidr is not None
    assert all(block.subnet_of(ipaddress.ip_network(network.cidr)) for block in blocks)  # type: ignore[arg-type]
    assert not any(one.overlaps(other) for one in blocks for other in blocks if one is not other)
    assert (len(blocks), network.nat_gateways) == (6, 3)


def test_a_vpc_that_is_there_is_left_as_it_is() -> None:
    network = aws_plan(parsed(on_aws(network={"vpc_id": VPC_ID, "private_subnet_ids": SUBNETS}))).network
    assert (network.vpc_id, network.nat_gateways, network.public_subnets) == (VPC_ID, 0, ())
    assert network.private_subnets == tuple(SUBNETS)


def test_a_cluster_that_is_there_is_named_shared_and_not_paid_for() -> None:
    there = {"vpc_id": VPC_ID, "private_subnet_ids": SUBNETS}
    new, shared = (
        aws_plan(parsed(on_aws(network=there, cluster=cluster))) for cluster in ({}, {"existing": "shared"})
    )
    assert (new.cluster.existing, shared.cluster.existing) == (None, "shared")
    assert "shared is there" in shared.reasons["cluster.existing"]
    names = {
        shared.cluster.operator_namespace.name: new.cluster.operator_namespace.name,
        shared.cluster.agents_namespace.name: new.cluster.agents_namespace.name,
        shared.cluster.collector_namespace: new.cluster.collector_namespace,
        shared.cluster.node_class: new.cluster.node_class,
        **{
            ours.name: alone.name
            for ours, alone in zip(shared.cluster.node_pools, new.cluster.node_pools, strict=True)
        },
    }
    assert names == {f"local-{name}": name for name in names.values()}
    assert "the EKS cluster" in [one.name for one in aws_cost_drivers(new)]
    assert "the EKS cluster" not in [one.name for one in aws_cost_drivers(shared)]


def test_names_of_the_longest_environment_fit_in_a_cluster_that_is_there() -> None:
    there = {"vpc_id": VPC_ID, "private_subnet_ids": SUBNETS}
    declared = parsed(on_aws(network=there, cluster={"existing": "shared"}))
    cluster = aws_plan(declared.model_copy(update={"name": "a" * SHARING_MAX_CHARS})).cluster
    names = [
        cluster.operator_namespace.name,
        cluster.agents_namespace.name,
        cluster.collector_namespace,
        cluster.node_class,
        *(f"{pool.name}-spot" for pool in cluster.node_pools),
    ]
    assert max(map(len, names)) == 63


@pytest.mark.parametrize("cluster", [{}, {"existing": "shared"}])
def test_pods_name_pools_of_the_plan(cluster: dict[str, str]) -> None:
    there = {"vpc_id": VPC_ID, "private_subnet_ids": SUBNETS}
    made = aws_plan(parsed(on_aws(network=there, cluster=cluster)))
    jobmanagers, taskmanagers = (pool.name for pool in made.cluster.node_pools)
    assert made.operator.node_pool == jobmanagers
    for one in made.deployments:
        assert (one.pods.jobmanager_pool, one.pods.taskmanager_pool) == (jobmanagers, taskmanagers)


@pytest.mark.parametrize(
    ("recovery", "spot", "count", "share"),
    [("90s", True, 2, 0.5), ("5m", True, 1, 1.0), ("90s", False, 2, 0.0), ("2m", True, 1, 1.0)],
)
def test_the_recovery_objective_decides_spare_taskmanagers_and_spot(
    recovery: str, spot: bool, count: int, share: float
) -> None:
    declaration = on_aws(spot=spot)
    declaration["recovery"]["max_recovery"] = recovery
    made = aws_plan(parsed(declaration))
    assert made.deployments[0].flink.taskmanager.count == count
    assert made.cluster.node_pools[1].spot_share == share


@pytest.mark.parametrize(
    ("kind", "rate", "size"),
    [
        # 4 000/s x 4 records x 2 KiB = 32.8 MB/s over 3 brokers = 10.9 each.
        ("express", 4_000, "express.m7g.large"),
        ("standard", 4_000, "kafka.m7g.2xlarge"),
        # 20 000/s: 54.6 MB/s each.
        ("express", 20_000, "express.m7g.2xlarge"),
    ],
)
def test_brokers_are_sized_by_the_load(kind: str, rate: int, size: str) -> None:
    declaration = on_aws(kafka=kind)
    del declaration["agents"][1:], declaration["agents"][0]["model"]
    del declaration["agents"][0]["workload"]["model_latency"]
    declaration["agents"][0]["workload"]["events_per_second"] = rate
    declaration["agents"][0]["scaling"]["parallelism_max"] = 8
    kafka = aws_plan(parsed(declaration)).kafka
    assert kafka.instance_type == size
    assert (kafka.storage_gib is None) == (kind == "express")
    assert MBPS_OF_LARGE[kind] * 2 ** list(SIZES).index(size.rpartition(".")[2]) >= rate * 4 * 2048 / 3e6


def test_express_brokers_are_told_only_what_they_take() -> None:
    express, standard = (aws_plan(parsed(on_aws(kafka=kind))) for kind in ("express", "standard"))
    read_only = {"default.replication.factor", "min.insync.replicas"}
    assert standard.kafka.configuration.keys() - express.kafka.configuration.keys() == read_only
    assert "transaction.max.timeout.ms" in express.kafka.configuration
    for ours, theirs in zip(express.topics, standard.topics, strict=True):
        assert theirs.config.keys() - ours.config.keys() == {"min.insync.replicas", "segment.bytes"}


def test_a_plan_is_made_for_its_own_substrate_alone() -> None:
    with pytest.raises(HeadraceError, match=r"needs substrate\.kind `local`"):
        plan(parsed(on_aws()))
    with pytest.raises(HeadraceError, match=r"needs substrate\.kind `aws`"):
        aws_plan(parsed(shipped()))
    assert isinstance(plan_of(parsed(shipped())), StackPlan)


def test_the_document_tells_what_aws_runs_and_what_costs_most() -> None:
    made = aws_plan(parsed(on_aws(spot=True)))
    console = Console(width=400)
    with console.capture() as captured:
        console.print(document(made))
    shown = captured.get()
    for part in (
        "on AWS in eu-central-1",
        "3 x express.m7g.large",
        "spot share of taskmanagers",
        "$ a month",
    ):
        assert part in shown
    assert all(running.name in shown for running in aws_running(made))
    amounts = [driver.amount for driver in aws_cost_drivers(made)]
    assert amounts == sorted(amounts, reverse=True)
    assert sum(driver.share for driver in aws_cost_drivers(made)) == pytest.approx(1)


def test_a_load_over_the_largest_size_has_more_brokers() -> None:
    declaration = on_aws(kafka="standard")
    template = declaration["agents"][0]
    del template["model"], template["workload"]["model_latency"]
    template["workload"]["events_per_second"] = 500_000
    template["scaling"]["parallelism_max"] = 128
    declaration["agents"] = [template]
    # 500 000/s x 4 records x 2 KiB = 4 096 MB/s; the largest takes 153.6: 27 brokers.
    kafka = aws_plan(parsed(declaration)).kafka
    assert (kafka.brokers, kafka.instance_type) == (27, "kafka.m7g.16xlarge")


def test_a_models_key_is_looked_for_under_the_name_that_is_declared_for_every_substrate() -> None:
    for deployment in aws_plan(parsed(on_aws(model_keys="keys"))).deployments:
        assert deployment.model_key
        assert (deployment.model_key.secret, deployment.model_key.key) == ("keys", "MODEL_KEY")


def test_a_model_of_bedrock_is_known_by_its_provider() -> None:
    declaration = on_aws()
    place = {"provider": "bedrock", "region": "eu-central-1"}
    declaration["agents"][0]["model"] = place | {"name": "some.model-v1:0"}
    declaration["agents"][0]["embedding"] = place | {"name": "amazon.titan-embed-text-v2:0"}
    made, other = aws_plan(parsed(declaration)), aws_plan(parsed(on_aws()))
    first, second = made.deployments
    assert first.bedrock_models == (
        "arn:aws:bedrock:eu-central-1::foundation-model/some.model-v1:0",
        "arn:aws:bedrock:eu-central-1::foundation-model/amazon.titan-embed-text-v2:0",
    )
    assert first.model_key is None
    assert second.bedrock_models == ()
    assert (made.network.bedrock, other.network.bedrock) == (True, False)


def test_namespaces_hold_what_their_pools_may_have() -> None:
    cluster = aws_plan(parsed(on_aws())).cluster
    agents, operator = cluster.agents_namespace, cluster.operator_namespace
    assert agents.vcpu == sum(pool.vcpu_limit for pool in cluster.node_pools)
    assert agents.memory_mib == sum(pool.memory_limit_mib for pool in cluster.node_pools)
    assert (operator.vcpu, operator.memory_mib) == (2, 4096)


def test_endpoints_of_a_new_network_are_among_what_costs() -> None:
    there = {"vpc_id": VPC_ID, "private_subnet_ids": SUBNETS}
    for network, expected in ({}, 24), (there, 0):
        drivers = [one.name for one in aws_cost_drivers(aws_plan(parsed(on_aws(network=network))))]
        assert f"{expected} interface endpoints" in drivers
