"""Durable AI agents on Apache Flink: what an author of an agent imports."""

from headrace_agents.agent import (
    Agent,
    AgentError,
    Answer,
    Change,
    NoSettings,
    Operation,
    Reminder,
    migrates,
    on,
    on_answer,
    on_reminder,
)
from headrace_agents.chat import LoopLimitError, Message, ModelError, ModelErrorKind, Reply, ToolCall, Usage
from headrace_agents.context import Context
from headrace_agents.prompts import beside, takes
from headrace_agents.records import Position
from headrace_agents.run_model import RunModel
from headrace_agents.tools import ToolError

__all__ = [
    "Agent",
    "AgentError",
    "Answer",
    "Change",
    "Context",
    "LoopLimitError",
    "Message",
    "ModelError",
    "ModelErrorKind",
    "NoSettings",
    "Operation",
    "Position",
    "Reminder",
    "Reply",
    "RunModel",
    "ToolCall",
    "ToolError",
    "Usage",
    "beside",
    "migrates",
    "on",
    "on_answer",
    "on_reminder",
    "takes",
]
