"""What is told of an agent's topics in an upgrade: where they end, what is seen, what was undone.

Apart from what reads them: who hears of it needs no client of Kafka's.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from headrace_agents.upgrades.conduct import Conduct
from headrace_agents.upgrades.vitals import Vitals

CAUGHT_UP_TIMEOUT_S = 90
"""For the shards to tell of what was undone."""


class Ends(BaseModel):
    """Of topics at a cutover; offsets by partition, of what is committed."""

    model_config = ConfigDict(frozen=True)

    outcomes: dict[int, int]
    runs: dict[int, int]


class Seen(BaseModel):
    """One look at a version that is watched after its cutover."""

    model_config = ConfigDict(frozen=True)

    vitals: Vitals
    backlog: int
    """Events in Kafka that the job has not committed to have read."""
    conduct: Conduct
    """Since the cutover."""


class Undoing(BaseModel):
    """What a rollback has to bring into memory, and where it is told of."""

    model_config = ConfigDict(frozen=True)

    outcomes: dict[int, int]
    """Up to these offsets of the topic of outcomes the undone version decided."""
    reports: dict[int, int]
    """Behind these offsets of the topic of reports the shards tell of it."""


class CaughtUp(BaseModel):
    """What a rollback did with events that the undone version had decided."""

    model_config = ConfigDict(frozen=True)

    decided: int
    dead_lettered: int
    """Of the decided ones: they stay dead letters, and can be replayed."""
    in_memory: int
    """Whose steps were read back, so that memory has them."""
    not_in_memory: tuple[str, ...] = ()
    """TOPIC/PARTITION/OFFSET: why not."""
    unreported: int = 0
    """That no shard had told of in time."""
