"""Work for the processor, as an agent does that computes something."""

from __future__ import annotations

import time

LABORIOUS = "laborious"
"""Status of a ticket that the chronicle labours at."""
LABOUR_S = 0.006
"""Of one processor core: some 150 such tickets a second are all that a subtask can do, and what carries them
(Kafka, Flink, the model) leaves a core for a second one."""


def labour() -> None:
    end = time.thread_time() + LABOUR_S
    while time.thread_time() < end:
        pass
