"""An agent of a stack, by its name, and its job."""

from __future__ import annotations

from headrace.errors import HeadraceError
from headrace.local.context import HOST
from headrace.local.flink_rest import FlinkRest, Unreachable
from headrace.operations.stack import Stack
from headrace.plan.model import AgentPlan, StackPlan


def find_agent(plan: StackPlan, name: str) -> AgentPlan:
    """Raises HeadraceError that names the agents there are."""
    for agent in plan.agents:
        if agent.name == name:
            return agent
    known = ", ".join(agent.name for agent in plan.agents)
    raise HeadraceError(f"no agent {name}; stack {plan.environment} declares: {known}")


def flink(stack: Stack) -> FlinkRest:
    return FlinkRest(f"http://{HOST}:{stack.plan.ports.flink_rest}")


def running_job(stack: Stack, agent: AgentPlan) -> str:
    """The id of the agent's job, which may be restarting. Raises HeadraceError when there is none."""
    start = f"start it with `headrace up --stack {stack.name}`"
    try:
        jobs = flink(stack).jobs(agent.name)
    except Unreachable as error:
        raise HeadraceError(f"{error}; {start}. Nothing was changed") from error
    if not jobs:
        raise HeadraceError(f"agent {agent.name} is not running; {start}. Nothing was changed")
    return jobs[0].id
