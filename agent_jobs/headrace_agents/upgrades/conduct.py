"""What a version of an agent did with its events, as the topics of outcomes and of runs have it."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from headrace_agents.model.amounts import PICODOLLARS_PER_DOLLAR
from headrace_agents.records import Outcome
from headrace_agents.run_log import RunLog


class Conduct(BaseModel):
    """Sums over events that have an outcome."""

    model_config = ConfigDict(frozen=True)

    events: int = 0
    dead_letters: int = 0
    model_calls: int = 0
    runs: int = 0
    """That have a log: with ``run_log: none`` no run has."""
    picodollars: int = 0
    """Of those runs."""

    @classmethod
    def of(cls, outcomes: Iterable[Outcome], runs: Iterable[RunLog]) -> Conduct:
        found, logs = list(outcomes), list(runs)
        return cls(
            events=len(found),
            dead_letters=sum(outcome.status == "dead_lettered" for outcome in found),
            model_calls=sum(outcome.model_calls for outcome in found),
            runs=len(logs),
            picodollars=sum(step.picodollars for run in logs for step in run.steps),
        )

    def __add__(self, other: Conduct) -> Conduct:
        """Of the events of both."""
        return Conduct(**{name: getattr(self, name) + getattr(other, name) for name in Conduct.model_fields})

    @property
    def dead_letter_share(self) -> float:
        """Of the events; 0 where there is none."""
        return self.dead_letters / self.events if self.events else 0.0

    @property
    def dollars_per_run(self) -> float:
        return self.picodollars / PICODOLLARS_PER_DOLLAR / self.runs if self.runs else 0.0

    @property
    def calls_per_event(self) -> float:
        return self.model_calls / self.events if self.events else 0.0
