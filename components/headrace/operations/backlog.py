"""Events that agents have not decided yet, followed from outside: what came in, less what has an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace_agents.records import Outcome, Position


@dataclass(frozen=True)
class Sample:
    """How far the agents were at one moment; times in epoch milliseconds."""

    at_ms: int
    oldest_ms: Mapping[str, int]
    """By agent: for how long its oldest undecided event has been in Kafka; 0 where none waits."""
    decided_to_ms: Mapping[str, int]
    """By agent: the latest database commit of an event whose outcome can be read; absent before the first."""


@dataclass
class Backlog:
    """Of the agents that read `readers`' topics (topic -> names); events from before it are not in it."""

    readers: Mapping[str, tuple[str, ...]]
    _waiting: dict[str, dict[Position, int]] = field(default_factory=dict)
    _early: dict[str, set[Position]] = field(default_factory=dict)
    """Outcomes that were read before their events: they are in different topics."""
    _decided_to: dict[str, int] = field(default_factory=dict)

    def came(self, position: Position, kafka_at_ms: int) -> None:
        """An event that can be read."""
        for agent in self.readers.get(position.topic, ()):
            early = self._early.setdefault(agent, set())
            if position in early:
                early.discard(position)
            else:
                self._waiting.setdefault(agent, {})[position] = kafka_at_ms

    def went(self, outcome: Outcome) -> None:
        """An outcome that can be read."""
        position = outcome.position
        if self._waiting.get(outcome.agent, {}).pop(position, None) is None:
            self._early.setdefault(outcome.agent, set()).add(position)
        committed = outcome.times.committed_at_ms
        if committed is not None:
            self._decided_to[outcome.agent] = max(committed, self._decided_to.get(outcome.agent, 0))

    def sample(self, at_ms: int) -> Sample:
        agents = {agent for names in self.readers.values() for agent in names}
        return Sample(
            at_ms,
            {agent: _oldest_ms(self._waiting.get(agent, {}), at_ms) for agent in agents},
            dict(self._decided_to),
        )


def _oldest_ms(waiting: Mapping[Position, int], at_ms: int) -> int:
    return max(0, at_ms - min(waiting.values())) if waiting else 0
