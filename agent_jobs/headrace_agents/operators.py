"""Operators of an agent's job that have state, by the ids that a savepoint knows them by.

An operator that gets another id finds nothing in a savepoint: its state would be left behind. So an id is for
ever, and stands here alone.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

CHANGES = "changes"
"""The source: how far each partition was read, kept by Flink's connector."""
AGENT = "agent"
RESULTS = "results"
"""The sink: transactions that are not committed yet, kept by Flink's connector."""
SHARD = "shard"
"""The agent's map state: bytes by bytes, as :mod:`headrace_agents.codec` says."""


class Operator(BaseModel):
    """One operator with state."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uid: str
    states: tuple[str, ...] = ()
    """Those that this runtime declares by name; what a connector keeps of its own is not among them."""


OPERATORS = (Operator(uid=CHANGES), Operator(uid=AGENT, states=(SHARD,)), Operator(uid=RESULTS))
