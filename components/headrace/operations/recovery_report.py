"""What a recovery took, from what was seen of it, against the environment's objective. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from headrace.operations.backlog import Sample


@dataclass(frozen=True)
class Restored:
    """Where an agent's job went on from."""

    agent: str
    newest: int | None
    """Number of its newest completed checkpoint just before the kill; None where there was none."""
    restored_from: int | None
    """Number of the checkpoint that it was restored from; None for a job that was never restored."""

    @property
    def lost_ground(self) -> bool:
        """Whether it went on from an older one than the newest."""
        return self.newest is not None and self.restored_from is not None and self.restored_from < self.newest


@dataclass(frozen=True)
class Recovery:
    """One kill and what was seen of it; moments in epoch milliseconds, None for what did not come."""

    killed: str
    killed_at_ms: int
    usual_ms: Mapping[str, int]
    """By agent under load: the age of the oldest undecided event before the kill, at its highest."""
    noticed_at_ms: int | None = None
    serving_at_ms: int | None = None
    """What was killed takes connections again; where Flink goes on without it, when the loss was noticed."""
    restored_at_ms: int | None = None
    samples: Sequence[Sample] = ()
    """Since the kill."""
    jobs: tuple[Restored, ...] = ()
    """Of the agents whose jobs the kill made restart."""
    missing: tuple[str, ...] = ()
    """What does not run at the drill's end."""

    @property
    def caught_up_at_ms(self) -> int | None:
        """The first sample at which every agent under load is as far as it used to be."""
        if self.restored_at_ms is None:
            return None
        return next(
            (each.at_ms for each in self.samples if self._usual_again(each, self.restored_at_ms)), None
        )

    def _usual_again(self, sample: Sample, restored_at_ms: int) -> bool:
        # What was captured late is young in Kafka: an event from after the restore has to be decided too.
        return sample.at_ms >= restored_at_ms and all(
            sample.decided_to_ms.get(agent, 0) > restored_at_ms and sample.oldest_ms.get(agent, 0) <= usual
            for agent, usual in self.usual_ms.items()
        )


@dataclass(frozen=True)
class Report:
    """Seconds from the kill, so that each includes the one before; None for what did not come in time."""

    killed: str
    objective_s: float
    detection_s: float | None
    """Until the loss was noticed."""
    restore_s: float | None
    """Until every task of every affected job ran again."""
    catch_up_s: float | None
    """Until the oldest undecided event was as young as before, and one from after the restore decided."""
    usual_oldest_s: float
    """Age of the oldest undecided event before the kill, at its highest."""
    oldest_s: float
    """The same after the kill."""
    jobs: tuple[Restored, ...]
    missing: tuple[str, ...]

    @property
    def met(self) -> bool:
        """Whether all was as before within the objective, from the newest checkpoints, and all runs."""
        in_time = self.catch_up_s is not None and self.catch_up_s <= self.objective_s
        return in_time and not self.missing and not any(job.lost_ground for job in self.jobs)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


def report(recovery: Recovery, objective_s: float) -> Report:
    return Report(
        killed=recovery.killed,
        objective_s=objective_s,
        detection_s=_after(recovery, recovery.noticed_at_ms),
        restore_s=_after(recovery, recovery.restored_at_ms),
        catch_up_s=_after(recovery, recovery.caught_up_at_ms),
        usual_oldest_s=_seconds(max(recovery.usual_ms.values(), default=0)),
        oldest_s=_seconds(
            max(
                (each.oldest_ms[agent] for each in recovery.samples for agent in recovery.usual_ms), default=0
            )
        ),
        jobs=recovery.jobs,
        missing=recovery.missing,
    )


def _after(recovery: Recovery, moment_ms: int | None) -> float | None:
    return None if moment_ms is None else _seconds(moment_ms - recovery.killed_at_ms)


def _seconds(ms: int) -> float:
    return round(ms / 1000, 1)
