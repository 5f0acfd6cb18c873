"""Names of processes that more than one part of the substrate knows."""

from __future__ import annotations

JOBMANAGER = "jobmanager"
TASKMANAGERS = "taskmanager-"
"""How names of TaskManagers begin."""


def taskmanager(number: int) -> str:
    """Of the process, and of the TaskManager in Flink; they are counted from 1."""
    return f"{TASKMANAGERS}{number}"
