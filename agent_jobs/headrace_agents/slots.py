"""How many runs may be under way: more while they wait for the model, never more while its provider limits.

A run waits for its model most of the time, so a shortage of calls in flight is met here, in the worker, and
costs no process more. Where the worker's own processor time is what is short, more runs at once would not
end sooner; where the provider refuses calls, more calls would be refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from headrace_agents.spec import AgentJobSpec, EmbeddingSpec, ModelSpec

STEP_S = 1.0
"""Between two looks, each at the time since the one before."""
STEP_SHARE = 4
"""A step is a quarter of what there is: from the planned to four times as many in six seconds."""
CALM_S = 30.0
"""After the provider limited a call: so long there are no more than at the start."""

Seconds = Callable[[], float]


class Slots:
    """From ``start`` to ``most``; used by one thread, but for :attr:`limit`, which any may read.

    ``busy_share`` of a processor core used since the last look means that the worker is short of that.
    """

    def __init__(
        self,
        start: int,
        most: int,
        busy_share: float = 1.0,
        *,
        clock: Seconds = time.monotonic,
        processor: Seconds = time.process_time,
    ) -> None:
        self.limit = start
        self._start = start
        self._most = most
        self._busy_share = busy_share
        self._clock = clock
        self._processor = processor
        self._looked_at = clock()
        self._used = processor()
        self._calm_from = float("-inf")

    def short(self) -> None:
        """Runs wait and none is free: there may be more, a step at a time."""
        now = self._clock()
        since = now - self._looked_at
        if since < STEP_S:
            return
        used, self._looked_at = self._processor(), now
        busy = (used - self._used) / since
        self._used = used
        if busy < self._busy_share and now >= self._calm_from:
            self.limit = min(self._most, self.limit + max(1, self.limit // STEP_SHARE))

    def limited(self, for_s: float = 0.0) -> None:
        """The provider refused a call for its rate, or could not keep up; ``for_s`` is what it asked for."""
        self._calm_from = self._clock() + for_s + CALM_S
        self.limit = self._start


def shared_out(spec: AgentJobSpec, subtasks: int) -> ModelSpec | None:
    """The model of one of so many subtasks: more than were planned have no more calls in flight together."""
    if spec.model is None or subtasks <= spec.parallelism:
        return spec.model
    model, start = spec.model, spec.model.concurrency
    return model.model_copy(
        update={
            "max_concurrency": _share(spec, model.max_concurrency, subtasks),
            "concurrency": None if start is None else _share(spec, start, subtasks),
            "fallbacks": tuple(
                each.model_copy(update={"max_concurrency": _share(spec, each.max_concurrency, subtasks)})
                for each in model.fallbacks
            ),
        }
    )


def embedding_shared_out(spec: AgentJobSpec, subtasks: int) -> EmbeddingSpec | None:
    """The embedding model of one of so many subtasks, as :func:`shared_out`."""
    if spec.embedding is None or subtasks <= spec.parallelism:
        return spec.embedding
    most = _share(spec, spec.embedding.max_concurrency, subtasks)
    return spec.embedding.model_copy(update={"max_concurrency": most})


def _share(spec: AgentJobSpec, each: int, subtasks: int) -> int:
    return max(1, each * spec.parallelism // subtasks)


def slots_of(spec: AgentJobSpec, model: ModelSpec | None) -> Slots:
    """Of a subtask with its share of the model; without a model a run waits for nothing that has a bound."""
    if model is None:
        return Slots(spec.limits.inbox_hard_events, spec.limits.inbox_hard_events)
    return Slots(model.concurrency or model.max_concurrency, model.max_concurrency, spec.runtime.busy_share)
