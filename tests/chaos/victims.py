"""Every kind of process that heals with no hand, and how long that takes."""

from __future__ import annotations

import time

from headrace.operations.victims import (
    BROKER,
    CONNECT,
    JOBMANAGER,
    STORAGE,
    TASKMANAGER,
    WORKER,
    Victim,
    program,
)
from tests.pipeline.plugin import Pipeline
from tests.pipeline.waiting import until

PATIENCE_S = 240
"""How long is waited, to know by how much a promise was broken."""
VICTIMS = (
    program("postgres"),
    BROKER,
    CONNECT,
    program("zookeeper"),
    JOBMANAGER,
    TASKMANAGER,
    WORKER,
    STORAGE,
)


def kill_and_heal(pipeline: Pipeline, victim: Victim) -> float:
    """Seconds until it is back, everything runs, and every agent has decided an event from after that."""
    stack = pipeline.stack
    killed_at = time.monotonic()
    before = victim.kill(stack.found)
    until(f"{victim.name} is back", lambda: victim.is_back(stack.found, before), PATIENCE_S)
    pipeline.decide_an_event(PATIENCE_S)
    until("every job and connector runs", stack.is_whole, PATIENCE_S)
    return time.monotonic() - killed_at
