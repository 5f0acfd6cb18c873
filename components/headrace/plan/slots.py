"""How many slots a TaskManager has, and how finely an agent's work can be divided."""

from __future__ import annotations

from headrace.environment.model import SHARDS, Environment
from headrace.plan.because import Because, because

MAX_PARALLELISM = 720


def local_slots(environment: Environment) -> Because[int]:
    """Of each TaskManager, so that every agent still fits when one of several is lost."""
    wanted = sum(agent.scaling.parallelism_min for agent in environment.agents)
    count = environment.local.taskmanagers
    left = max(1, count - 1)
    lost = f"with one of {count} TaskManagers lost" if count > 1 else "on the only TaskManager"
    return because(
        -(-wanted // left),
        f"the agents' parallelism_min adds up to {wanted}, and {wanted} slots are left {lost}: "
        f"{wanted} / {left}, rounded up",
    )


def shards() -> Because[int]:
    """Of an agent's keys."""
    return because(
        SHARDS,
        f"{SHARDS}: an event costs 0.24 ms of CPU with {SHARDS} shards, 0.67 ms with {MAX_PARALLELISM}; "
        "fixed for the job's life",
    )


def max_parallelism() -> Because[int]:
    """Key groups, of a cluster and of every job on it."""
    return because(
        MAX_PARALLELISM,
        f"{MAX_PARALLELISM} has 30 divisors, so the {SHARDS} shards' groups spread evenly over subtasks; it "
        "can never change afterwards",
    )
