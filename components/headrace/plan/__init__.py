"""What is worked out from a declaration: :func:`plan`, and the models it returns.

Pure: no Pulumi, no clock, no network, no file. One module per subject, and each value stands beside
its reason.
"""

from __future__ import annotations

from headrace.environment.model import SCRIPTED, Environment
from headrace.plan.agents import agents
from headrace.plan.because import because, build
from headrace.plan.connectors import sources
from headrace.plan.coordination import zookeeper
from headrace.plan.database import database_server
from headrace.plan.flink import flink
from headrace.plan.kafka import broker, connect
from headrace.plan.model import StackPlan
from headrace.plan.object_store import object_store
from headrace.plan.ports import ports
from headrace.plan.savepoints import savepoints
from headrace.plan.topics import topics

__all__ = ["StackPlan", "plan"]


def plan(environment: Environment) -> StackPlan:
    """Everything that is computed from an environment, each leaf with its reason.

    The same environment gives the same plan, always.
    """
    at = ports(environment.substrate)
    cluster = flink(environment, at.value)
    scripted = sum(
        agent.model is not None and agent.model.endpoint == SCRIPTED for agent in environment.agents
    )
    data_dir = environment.substrate.data_dir
    stack = build(
        StackPlan,
        environment=because(environment.name, "the name of the stack's file"),
        data_dir=because(data_dir, "declared" if data_dir else "0 are declared: the substrate's own choice"),
        ports=at,
        sources=sources(environment, at.value),
        topics=topics(environment),
        database_server=database_server(environment, at.value),
        kafka=broker(environment, at.value),
        connect=connect(environment, at.value),
        object_store=object_store(at.value),
        zookeeper=zookeeper(at.value),
        flink=cluster,
        savepoints=savepoints(environment.savepoints),
        agents=agents(environment, at.value, cluster.value.checkpoints),
        scripted_model=because(scripted > 0, f"{scripted} of {len(environment.agents)} agents use it"),
        reasons=because({}, ""),
    )
    reasons = {path: reason for path, reason in stack.reasons.items() if path != "reasons"}
    return stack.value.model_copy(update={"reasons": reasons})
