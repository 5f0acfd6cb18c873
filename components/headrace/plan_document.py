"""How ``headrace plan`` tells a plan to a person: what runs, what was traded, what costs, what changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headrace.plan.differences import Difference
from headrace.plan.model import CommonPlan, StackPlan
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


def document(plan: StackPlan) -> RenderableType:
    """The plan of a local stack, as a few tables that fit a terminal."""
    return Group(
        Text(f"Environment {plan.environment}, on this machine\n", style="bold"),
        running_table(local_running(plan)),
        agents_table(plan),
        objectives_table(plan),
        topics_table(plan),
        trades_table(trades(plan, plan.flink)),
        drivers_table(local_cost_drivers(plan)),
        Text("Every value with its reason: headrace plan --values", style="dim"),
    )


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


def objectives_table(plan: StackPlan) -> Table:
    """The times that the objectives give."""
    chosen = {
        "checkpoint interval": "flink.checkpoints.interval_ms",
        "checkpoint timeout": "flink.checkpoints.timeout_ms",
        "failed checkpoints tolerated": "flink.checkpoints.tolerable_failures",
        "lost process noticed in": "flink.failover.heartbeat_timeout_ms",
        "dead leader replaced in": "flink.failover.leader_session_ms",
        "longest wait between restarts": "flink.failover.longest_backoff_ms",
        "transactions kept for": "agents[0].spec.kafka.transaction_timeout_ms",
    }
    values = {
        **{f"flink.checkpoints.{name}": value for name, value in plan.flink.checkpoints},
        **{f"flink.failover.{name}": value for name, value in plan.flink.failover},
        "agents[0].spec.kafka.transaction_timeout_ms": plan.agents[0].spec.kafka.transaction_timeout_ms,
    }
    table = _table("What the objectives give", ("time", 2), ("value", 1), ("because", 5))
    for name, path in chosen.items():
        unit = " ms" if path.endswith("_ms") else ""
        table.add_row(name, f"{values[path]}{unit}", Text(plan.reasons[path], style="dim"))
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


def trades_table(found: Iterable[Trade]) -> Table:
    """What was chosen, for what."""
    table = _table("What was traded", ("chosen", 3), ("for", 4), ("at the price of", 4))
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
