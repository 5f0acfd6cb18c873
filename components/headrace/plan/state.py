"""How much state an agent has: what memory, restore and disks are sized by."""

from __future__ import annotations

from headrace.environment.model import Agent
from headrace.plan.because import Because, because

KEY_BYTES = 64
"""Beside a key's memory: its entry's RocksDB key (key group, shard, business key) and value header."""


def state_bytes(agent: Agent) -> int:
    """Of all keys."""
    return agent.workload.keys * (agent.workload.state_bytes_per_key + KEY_BYTES)


def subtask_state_bytes(agent: Agent) -> int:
    """Of one subtask's keys, at the least parallelism."""
    return state_bytes(agent) // agent.scaling.parallelism_min


def planned_state_bytes(agent: Agent) -> Because[int]:
    """:func:`state_bytes` with its reason."""
    workload = agent.workload
    return because(
        state_bytes(agent),
        f"{workload.keys} keys x ({workload.state_bytes_per_key} bytes + {KEY_BYTES} for the entry's key "
        "and head)",
    )
