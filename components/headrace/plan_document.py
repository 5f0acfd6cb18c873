"""How ``headrace plan`` tells a plan to a person: what runs, what was traded, what costs, what changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headrace.plan.aws import AwsPlan
from headrace.plan.aws.summary import aws_cost_drivers, aws_running
from headrace.plan.differences import Difference
from headrace.plan.model import CommonPlan, FlinkPlan, StackPlan
from headrace.plan.summary import (
    Driver,
    Running,
    Trade,
    local_cost_drivers,
    local_running,
    model_calls_per_day,
    state_mib,
    trades,
)


def document(plan: StackPlan | AwsPlan) -> RenderableType:
    """The plan, as a few tables that fit a terminal."""
    return Group(
        *(_on_aws(plan) if isinstance(plan, AwsPlan) else _on_this_machine(plan)),
        Text("Every value with its reason: headrace plan --values", style="dim"),
    )


def _on_this_machine(plan: StackPlan) -> Iterator[RenderableType]:
    yield Text(f"Environment {plan.environment}, on this machine\n", style="bold")
    yield running_table(local_running(plan))
    yield agents_table(plan)
    yield objectives_table(plan, "flink", plan.flink)
    yield topics_table(plan)
    yield trades_table(trades(plan.agents, plan.flink))
    yield drivers_table(local_cost_drivers(plan))


def _on_aws(plan: AwsPlan) -> Iterator[RenderableType]:
    yield Text(f"Environment {plan.environment}, on AWS in {plan.region}\n", style="bold")
    yield running_table(aws_running(plan))
    yield managed_table(plan)
    yield agents_table(plan)
    yield objectives_table(plan, "deployments[0].flink", plan.deployments[0].flink)
    yield topics_table(plan)
    for deployment, agent in zip(plan.deployments, plan.agents, strict=True):
        yield trades_table(trades((agent,), deployment.flink), f"What was traded for {agent.name}")
    yield drivers_table(aws_cost_drivers(plan))


def _cluster(plan: AwsPlan) -> str:
    existing = plan.cluster.existing
    return f"existing cluster {existing}" if existing else "a new one"


def managed_table(plan: AwsPlan) -> Table:
    """What AWS runs, and on what pods run."""
    pools = plan.cluster.node_pools
    chosen = {
        "brokers": (f"{plan.kafka.brokers} x {plan.kafka.instance_type}", "kafka.instance_type"),
        **{
            f"connector {one.name}": (f"{one.mcu} MCU", f"connect.connectors[{at}].mcu")
            for at, one in enumerate(plan.connect.connectors)
        },
        **{
            f"families of {pool.name}": (
                ", ".join(pool.instance_categories),
                f"cluster.node_pools[{at}].instance_categories",
            )
            for at, pool in enumerate(pools)
        },
        **{
            f"spot share of {pool.name}": (f"{pool.spot_share:.0%}", f"cluster.node_pools[{at}].spot_share")
            for at, pool in enumerate(pools)
        },
        "cluster": (_cluster(plan), "cluster.existing"),
        "Kubernetes API": (
            "private" if plan.cluster.endpoint_private else "public",
            "cluster.endpoint_private",
        ),
        "agents are deployed": ("yes" if plan.agents_image else "no", "agents_image"),
        "private subnets": (str(len(plan.network.private_subnets)), "network.private_subnets"),
        "NAT gateways": (str(plan.network.nat_gateways), "network.nat_gateways"),
        "data stays when destroyed": ("yes" if plan.protect else "no", "protect"),
    }
    table = _table("What AWS runs", ("part", 2), ("value", 2), ("because", 5))
    for name, (value, path) in chosen.items():
        table.add_row(name, value, Text(plan.reasons[path], style="dim"))
    return table


def running_table(running: Sequence[Running]) -> Table:
    """Processes with their sizes, and the whole."""
    table = _table("What runs", ("process", 2), ("count", 1), ("MiB each", 1), ("because", 5))
    for part in running:
        table.add_row(part.name, str(part.count), str(part.mib), Text(part.because, style="dim"))
    whole = sum(part.count * part.mib for part in running)
    table.add_row("all together", "", Text(str(whole), style="bold"), "")
    return table


def agents_table(plan: CommonPlan) -> Table:
    """Agents with what they are sized by."""
    table = _table("Agents", ("agent", 2), ("subtasks", 1), ("state", 1), ("model calls", 2), ("because", 4))
    for at, agent in enumerate(plan.agents):
        table.add_row(
            agent.name,
            f"{agent.spec.parallelism} to {agent.parallelism_max}",
            f"{state_mib(agent)} MiB",
            f"{agent.model_calls_in_flight} in flight, {model_calls_per_day(agent):,.0f} a day",
            Text(plan.reasons[f"agents[{at}].model_calls_in_flight"], style="dim"),
        )
    return table


def objectives_table(plan: CommonPlan, cluster: str, flink: FlinkPlan) -> Table:
    """The times that the objectives give; ``cluster`` is the path of the Flink cluster in the plan."""
    transaction = "agents[0].spec.kafka.transaction_timeout_ms"
    times: tuple[tuple[str, str, object], ...] = (
        ("checkpoint interval", f"{cluster}.checkpoints.interval_ms", flink.checkpoints.interval_ms),
        ("checkpoint timeout", f"{cluster}.checkpoints.timeout_ms", flink.checkpoints.timeout_ms),
        (
            "failed checkpoints tolerated",
            f"{cluster}.checkpoints.tolerable_failures",
            flink.checkpoints.tolerable_failures,
        ),
        (
            "lost process noticed in",
            f"{cluster}.failover.heartbeat_timeout_ms",
            flink.failover.heartbeat_timeout_ms,
        ),
        (
            "dead leader replaced in",
            f"{cluster}.failover.leader_session_ms",
            flink.failover.leader_session_ms,
        ),
        (
            "longest wait between restarts",
            f"{cluster}.failover.longest_backoff_ms",
            flink.failover.longest_backoff_ms,
        ),
        ("transactions kept for", transaction, plan.agents[0].spec.kafka.transaction_timeout_ms),
    )
    table = _table("What the objectives give", ("time", 2), ("value", 1), ("because", 5))
    for name, path, value in times:
        unit = " ms" if path.endswith("_ms") else ""
        table.add_row(name, f"{value}{unit}", Text(plan.reasons[path], style="dim"))
    return table


def topics_table(plan: CommonPlan) -> Table:
    """Topics with their partitions, copies and retention."""
    table = _table("Topics", ("topic", 3), ("partitions", 1), ("copies", 1), ("kept", 5))
    for at, topic in enumerate(plan.topics):
        table.add_row(
            topic.name,
            str(topic.partitions),
            str(topic.replication),
            Text(plan.reasons[f"topics[{at}].config.retention.ms"], style="dim"),
        )
    return table


def trades_table(found: Iterable[Trade], title: str = "What was traded") -> Table:
    """What was chosen, for what."""
    table = _table(title, ("chosen", 3), ("for", 4), ("at the price of", 4))
    for trade in found:
        table.add_row(trade.chosen, trade.gain, Text(trade.price, style="dim"))
    return table


def drivers_table(drivers: Sequence[Driver]) -> Table:
    """What costs most, first."""
    table = _table("Cost drivers, in order", ("what", 2), ("amount", 2), ("share", 1), ("changed by", 4))
    for driver in drivers:
        table.add_row(
            driver.name,
            f"{driver.amount:,.0f} {driver.unit}",
            f"{driver.share:.0%}",
            Text(driver.changed_by, style="dim"),
        )
    return table


def differences_table(found: Sequence[Difference], before: str) -> RenderableType:
    """What the declaration changes, compared with ``before``."""
    if not found:
        return Text(f"No difference to {before}.")
    table = _table(
        f"{len(found)} differences to {before}", ("value of", 4), ("before", 2), ("after", 2), ("because", 4)
    )
    for one in found:
        before_text = Text(str(one.before), style="red")
        after_text = Text(str(one.after), style="green")
        table.add_row(Text(one.path), before_text, after_text, Text(one.reason, style="dim"))
    return table


def _table(title: str, *columns: tuple[str, int]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", expand=True, pad_edge=False)
    for name, ratio in columns:
        table.add_column(name, ratio=ratio, overflow="fold")
    return table
