"""Durable AI agents on Apache Flink: what an author of an agent imports."""

from headrace_agents.agent import Agent, AgentError, Change, Context, NoSettings, Operation, on
from headrace_agents.chat import Message, ModelError, ModelErrorKind, Reply, RunModel, Usage
from headrace_agents.records import Position

__all__ = [
    "Agent",
    "AgentError",
    "Change",
    "Context",
    "Message",
    "ModelError",
    "ModelErrorKind",
    "NoSettings",
    "Operation",
    "Position",
    "Reply",
    "RunModel",
    "Usage",
    "on",
]
