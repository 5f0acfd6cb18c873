"""What runs on AWS and what costs most there, read off a finished plan.

Prices are list prices of one region, rounded: they put cost drivers in order and are no quote.
"""

from __future__ import annotations

from collections.abc import Iterator

from headrace.environment.units import DAY_MS
from headrace.plan.aws.kafka import SIZES
from headrace.plan.aws.model import AwsPlan
from headrace.plan.aws.network import MODEL_SERVICES, PRIVATE_SERVICES
from headrace.plan.model import PlanModel
from headrace.plan.summary import Driver, Running

HOURS_A_MONTH, DAYS_A_MONTH = 730, 30
DOLLARS_PER_VCPU_HOUR = 0.05
SPOT_TO_ON_DEMAND = 0.35
DOLLARS_PER_BROKER_HOUR = {"express": 0.41, "standard": 0.20}
"""Of size large; a size costs twice as much as the one before."""
DOLLARS_PER_GIB_MONTH = 0.10
DOLLARS_PER_MCU_HOUR = 0.11
DOLLARS_PER_NAT_HOUR = 0.045
DOLLARS_PER_ENDPOINT_HOUR = 0.01
DOLLARS_PER_CLUSTER_HOUR = 0.10
DOLLARS_PER_1000_WRITES = 0.005
PRICED_WRITES = 1_000
WRITES_PER_SUBTASK = 3
"""Of one checkpoint: RocksDB's new files, and its own record of them."""


class Cost(PlanModel):
    name: str
    dollars_a_month: float
    changed_by: str


def aws_running(plan: AwsPlan) -> tuple[Running, ...]:
    """Every kind of pod; what AWS runs itself has no size in memory."""
    operator = Running(
        "Flink operator",
        plan.operator.replicas,
        plan.operator.memory_mib,
        plan.reasons["operator.memory_mib"],
    )
    return (*(part for at in range(len(plan.deployments)) for part in _pods(plan, at)), operator)


def aws_cost_drivers(plan: AwsPlan) -> tuple[Driver, ...]:
    """Largest first, in dollars a month."""
    costs = list(_costs(plan))
    whole = sum(cost.dollars_a_month for cost in costs)
    drivers = (
        Driver(cost.name, cost.dollars_a_month, "$ a month", cost.dollars_a_month / whole, cost.changed_by)
        for cost in costs
    )
    return tuple(sorted(drivers, key=lambda driver: -driver.amount))


def _pods(plan: AwsPlan, at: int) -> Iterator[Running]:
    one, path = plan.deployments[at], f"deployments[{at}]"
    yield Running(
        f"{one.name}: TaskManager",
        one.flink.taskmanager.count,
        one.flink.taskmanager.process_mib,
        plan.reasons[f"{path}.flink.taskmanager.process_mib"],
    )
    yield Running(
        f"{one.name}: JobManager",
        one.pods.jobmanager_replicas,
        one.flink.jobmanager.process_mib,
        plan.reasons[f"{path}.flink.jobmanager.process_mib"],
    )


def _costs(plan: AwsPlan) -> Iterator[Cost]:
    jobmanagers, taskmanagers = plan.cluster.node_pools
    task_cpu = sum(one.pods.taskmanager_cpu * one.flink.taskmanager.count for one in plan.deployments)
    job_cpu = sum(one.pods.jobmanager_cpu * one.pods.jobmanager_replicas for one in plan.deployments)
    job_cpu += plan.operator.cpu * plan.operator.replicas
    paid = 1 - taskmanagers.spot_share * (1 - SPOT_TO_ON_DEMAND)
    yield _hourly(
        f"nodes of {taskmanagers.name}",
        task_cpu * paid * DOLLARS_PER_VCPU_HOUR,
        "scaling.parallelism_min, recovery.max_recovery, substrate.spot",
    )
    yield _hourly(f"nodes of {jobmanagers.name}", job_cpu * DOLLARS_PER_VCPU_HOUR, "the number of agents")
    size = list(SIZES).index(plan.kafka.instance_type.rpartition(".")[2])
    yield _hourly(
        f"{plan.kafka.brokers} brokers {plan.kafka.instance_type}",
        plan.kafka.brokers * DOLLARS_PER_BROKER_HOUR[plan.kafka.kind] * 2**size,
        "substrate.kafka, workload.events_per_second, scaling.parallelism_max",
    )
    if plan.kafka.storage_gib is not None:
        yield Cost(
            name=f"{plan.kafka.brokers} x {plan.kafka.storage_gib} GiB for topics",
            dollars_a_month=plan.kafka.brokers * plan.kafka.storage_gib * DOLLARS_PER_GIB_MONTH,
            changed_by="workload.events_per_second",
        )
    mcu = sum(one.mcu * one.workers for one in plan.connect.connectors)
    yield _hourly(f"{mcu} units of MSK Connect", mcu * DOLLARS_PER_MCU_HOUR, "the number of sources")
    yield _hourly(
        f"{plan.network.nat_gateways} NAT gateways",
        plan.network.nat_gateways * DOLLARS_PER_NAT_HOUR,
        "substrate.network.nat",
    )
    endpoints = len(plan.network.private_subnets) * _endpoint_services(plan)
    yield _hourly(
        f"{endpoints} interface endpoints", endpoints * DOLLARS_PER_ENDPOINT_HOUR, "substrate.zones"
    )
    if plan.cluster.existing is None:
        yield _hourly("the EKS cluster", DOLLARS_PER_CLUSTER_HOUR, "substrate.cluster.existing")
    writes = sum(
        DAY_MS / one.flink.checkpoints.interval_ms * WRITES_PER_SUBTASK * agent.spec.parallelism
        for one, agent in zip(plan.deployments, plan.agents, strict=True)
    )
    yield Cost(
        name=f"{writes:,.0f} writes of checkpoints a day",
        dollars_a_month=writes * DAYS_A_MONTH * DOLLARS_PER_1000_WRITES / PRICED_WRITES,
        changed_by="recovery.max_replay, scaling.parallelism_min",
    )


def _endpoint_services(plan: AwsPlan) -> int:
    """Services that a new VPC reaches within itself, in each zone; of one that is there nothing is known."""
    if plan.network.vpc_id is not None:
        return 0
    return len(PRIVATE_SERVICES) + (len(MODEL_SERVICES) if plan.network.bedrock else 0)


def _hourly(name: str, dollars_an_hour: float, changed_by: str) -> Cost:
    return Cost(name=name, dollars_a_month=dollars_an_hour * HOURS_A_MONTH, changed_by=changed_by)
