"""Makes a savepoint of each running agent now and then: `python -m headrace.local.periodic_savepoints FILE`.

On Kubernetes Flink's operator does this. Here it is a small process beside Flink. It keeps nothing itself:
when the next one is due is told by the newest that is in the object store, so it can be killed at any time.
After each it removes those of the agent that are past the history, but nothing while something in the buckets
is not understood.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.local.flink_rest import FlinkRest
from headrace.local.objects import objects
from headrace.local.savepoint_schedule import Schedule
from headrace.local.snapshots import periodic_folder, periodic_savepoints
from headrace.local.survey import remove, survey
from headrace.state.history import Complete, History, past_history
from headrace.state.layout import PERIODIC
from headrace.state.orphans import judge

POLL_S = 5.0
PAUSE_AFTER_FAILURE = timedelta(minutes=1)
SAVEPOINT_TIMEOUT_S = 600


@dataclass
class Rounds:
    """Looks again and again; each agent is waited with after a failure of its own."""

    told: Schedule

    def __post_init__(self) -> None:
        self._flink = FlinkRest(self.told.flink_endpoint)
        self._not_before: dict[str, datetime] = {}

    def look(self, now: datetime) -> Iterator[str]:
        """Make what is due; yields what was done or failed, for the log."""
        for agent in self.told.agents:
            if now < self._not_before.get(agent, now):
                continue
            try:
                yield from self._agent(agent, now)
            except HeadraceError as error:
                self._not_before[agent] = now + PAUSE_AFTER_FAILURE
                yield f"{agent}: {error}"

    def _agent(self, agent: str, now: datetime) -> Iterator[str]:
        newest = max(periodic_savepoints(self.told.object_store_endpoint, agent), default=None)
        if newest is not None and now - newest.modified < timedelta(seconds=self.told.interval_s):
            return
        jobs = self._flink.jobs(agent)
        if not jobs or not self._flink.all_running(jobs[0].id):
            return
        path = self._flink.savepoint(jobs[0].id, periodic_folder(agent), SAVEPOINT_TIMEOUT_S)
        yield f"{agent}: made {path}"
        for removed, why in self._drop_past(agent, now).items():
            yield f"{agent}: removed {removed}: {why}"

    def _drop_past(self, agent: str, now: datetime) -> dict[str, str]:
        settle = timedelta(seconds=self.told.settle_s)
        history = History(self.told.history_count, timedelta(seconds=self.told.history_age_s))
        with objects(self.told.object_store_endpoint) as store:
            found = survey(store)
            own = [each for each in found.complete() if _periodic_of(agent, each)]
            past = past_history(own, history, (), now, settle)
            if past:
                judged = judge(found.objects, found.retained, past, self.told.agents, now - settle)
                remove(store, (orphan for orphan in judged.orphans if orphan.place.folder in past))
        return past


def _periodic_of(agent: str, complete: Complete) -> bool:
    return complete.place.agent == agent and complete.place.purpose == PERIODIC


def main() -> None:
    rounds = Rounds(Schedule.model_validate_json(Path(sys.argv[1]).read_text()))
    while True:
        for line in rounds.look(datetime.now(UTC)):
            print(line, flush=True)
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()
