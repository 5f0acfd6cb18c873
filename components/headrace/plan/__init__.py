"""What is worked out from a declaration: :func:`plan`, and the models it returns.

Pure: no Pulumi, no clock, no network, no file. One module per subject, and each value stands beside
its reason.
"""

from __future__ import annotations

from headrace.environment.model import Environment
from headrace.environment.substrates import AwsSubstrate
from headrace.environment.types import SCRIPTED
from headrace.plan.agents import agents, agents_removed
from headrace.plan.aws import AwsPlan, aws_plan
from headrace.plan.because import because, build
from headrace.plan.connectors import sources
from headrace.plan.coordination import zookeeper
from headrace.plan.database import database_server
from headrace.plan.flink import flink
from headrace.plan.kafka import broker, connect
from headrace.plan.model import StackPlan
from headrace.plan.object_store import object_store
from headrace.plan.place import local_place
from headrace.plan.ports import ports
from headrace.plan.scaling import scaling, taskmanagers_max
from headrace.plan.slots import local_slots
from headrace.plan.state_storage import state_storage
from headrace.plan.topics import topics

__all__ = ["AwsPlan", "StackPlan", "plan", "plan_of"]


def plan(environment: Environment) -> StackPlan:
    """Everything that is computed from an environment on this machine, each leaf with its reason.

    The same environment gives the same plan, always.

    Raises:
        HeadraceError: the environment is on another substrate.
    """
    most = taskmanagers_max(environment, local_slots(environment).value)
    at = ports(environment.local, most.value)
    place = local_place(at.value)
    cluster = flink(environment, at.value)
    scripted = sum(
        any(model.endpoint == SCRIPTED for model in agent.model_endpoints.values())
        for agent in environment.agents
    )
    data_dir = environment.local.data_dir
    stack = build(
        StackPlan,
        environment=because(environment.name, "the name of the stack's file"),
        data_dir=because(data_dir, "declared" if data_dir else "0 are declared: the substrate's own choice"),
        ports=at,
        sources=sources(environment, place),
        topics=topics(environment, place),
        database_server=database_server(environment, at.value),
        kafka=broker(environment, at.value),
        connect=connect(environment, at.value, place),
        object_store=object_store(at.value),
        zookeeper=zookeeper(at.value, cluster.value.failover.leader_session_ms),
        flink=cluster,
        taskmanagers_max=most,
        state_storage=state_storage(environment.savepoints),
        agents=agents(environment, place, cluster.value.checkpoints),
        scaling=scaling(environment.recovery),
        agents_removed=agents_removed(environment),
        scripted_model=because(scripted > 0, f"{scripted} of {len(environment.agents)} agents use it"),
        reasons=because({}, ""),
    )
    reasons = {path: reason for path, reason in stack.reasons.items() if path != "reasons"}
    return stack.value.model_copy(update={"reasons": reasons})


def plan_of(environment: Environment) -> StackPlan | AwsPlan:
    """The plan, whatever the environment's substrate."""
    return aws_plan(environment) if isinstance(environment.substrate, AwsSubstrate) else plan(environment)
