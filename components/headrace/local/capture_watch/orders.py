"""What the process that watches capturing is told."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WatchedSource(_Told):
    """One source, by its name in the declaration."""

    source: str
    connector: str
    slot: str
    database: str
    role: str
    password_file: str
    heartbeats: str
    """Their topic."""


class WatchOrders(_Told):
    """What the process is told."""

    connect_endpoint: str
    bootstrap_servers: str
    postgres_port: int
    metrics_port: int
    sources: tuple[WatchedSource, ...]
