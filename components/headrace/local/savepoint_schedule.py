"""What the process that makes periodic savepoints is told."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Schedule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    flink_endpoint: str
    object_store_endpoint: str
    agents: tuple[str, ...]
    interval_s: float
    history_count: int
    history_age_s: float
    settle_s: float
    """How old an object has to be before it can be an orphan."""
