"""What the process that scales is told."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from headrace.plan.model import AgentPlan, ScalingPlan, StackPlan


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bounds(_Told):
    """Of one agent."""

    agent: str
    least: int
    """Subtasks, as ``most``."""
    most: int
    normal_lag_events: int
    calls_most: int
    """Calls in flight, and so runs under way, that the agent's workers may reach; 0: it calls no model."""
    requests_per_minute: int | None
    tokens_per_minute: int | None
    """The declared limits of its model's provider."""


class Orders(_Told):
    root: str
    """Folder of the stack."""
    flink_endpoint: str
    metrics_ports: tuple[int, ...]
    """Of each TaskManager that there may be."""
    agents: tuple[Bounds, ...]
    times: ScalingPlan
    taskmanagers: int
    """That always run; those above them, up to ``len(metrics_ports)``, are started and stopped."""
    slots: int
    """Of each."""
    taskmanager_mib: int


def orders(plan: StackPlan, root: str, flink_endpoint: str) -> Orders:
    """As the plan has it."""
    return Orders(
        root=root,
        flink_endpoint=flink_endpoint,
        metrics_ports=plan.ports.taskmanager_metrics,
        agents=tuple(map(bounds, plan.agents)),
        times=plan.scaling,
        taskmanagers=plan.flink.taskmanager.count,
        slots=plan.flink.taskmanager.slots,
        taskmanager_mib=plan.flink.taskmanager.process_mib,
    )


def bounds(agent: AgentPlan) -> Bounds:
    """An agent's; no subtask is without a call that it may make."""
    spec = agent.spec
    calls = spec.model.max_concurrency * spec.parallelism if spec.model else 0
    return Bounds(
        agent=agent.name,
        least=spec.parallelism,
        most=min(agent.parallelism_max, calls or agent.parallelism_max),
        normal_lag_events=agent.normal_lag_events,
        calls_most=calls,
        requests_per_minute=spec.model.requests_per_minute if spec.model else None,
        tokens_per_minute=spec.model.tokens_per_minute if spec.model else None,
    )
