"""What an agent's subtasks say of themselves, as scaling reads it."""

from __future__ import annotations

from headrace.local.flink_metrics import Pages, samples
from tests.pipeline.stack import LiveStack


def figures(stack: LiveStack, agent: str, name: str) -> dict[int, float]:
    """A gauge by subtask, of the agent's present job; what a lost TaskManager said is not there."""
    found: dict[int, float] = {}
    for page in Pages(stack.plan.ports.taskmanager_metrics).read():
        found |= of(page, agent, name)
    return found


def of(page: str, agent: str, name: str) -> dict[int, float]:
    """From one process's page."""
    return {each.subtask: each.value for each in samples(page, agent, [name]) if each.operator == agent}
