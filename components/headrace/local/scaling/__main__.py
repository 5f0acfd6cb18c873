"""The process: looks, decides, acts, and writes down how it stands."""

from __future__ import annotations

import sys
import time
from collections import defaultdict, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from headrace.environment.units import SECOND_MS
from headrace.errors import HeadraceError
from headrace.local.files import StackFiles
from headrace.local.flink_metrics import Pages
from headrace.local.flink_rest import FlinkRest, Job
from headrace.local.scaling.decision import Decision, Observation, decide
from headrace.local.scaling.load import Load, calls_in_flight
from headrace.local.scaling.orders import Bounds, Orders
from headrace.local.scaling.rescaling import rescale
from headrace.local.scaling.standing import Rescale, Standing, Standings, read, write
from headrace.local.scaling.taskmanagers import TaskManagers


@dataclass
class Looks:
    """Looks again and again; what is kept in a file outlives this process, what was observed does not."""

    told: Orders

    def __post_init__(self) -> None:
        self._flink = FlinkRest(self.told.flink_endpoint)
        self._pages = Pages(self.told.metrics_ports)
        self._taskmanagers = TaskManagers(self.told)
        self._file = StackFiles(Path(self.told.root)).scaling
        kept = read(self._file)
        self._standing = {each.agent: each for each in kept.agents}
        self._loads = {bounds.agent: Load(bounds.agent) for bounds in self.told.agents}
        times = self.told.times
        longest = times.quiet_ms // times.observe_ms + 2
        self._seen: dict[str, deque[Observation]] = defaultdict(lambda: deque(maxlen=longest))
        self._failures: dict[str, str] = {}
        self._wanted = {bounds.agent: bounds.least for bounds in self.told.agents}

    def look(self, now: float) -> Iterator[str]:
        """At every agent; yields what was decided anew, done or failed, for the log."""
        found = self._pages.read()
        for bounds in self.told.agents:
            yield from self._tried(bounds.agent, self._agent(bounds, found, now))
        yield from self._tried("TaskManagers", self._follow())
        write(self._file, Standings(agents=tuple(self._standing.values())))

    def _tried(self, what: str, work: Iterator[str]) -> Iterator[str]:
        """A failure is said once: the next look may find it over."""
        failure = ""
        try:
            yield from work
        except HeadraceError as error:
            failure = f"{what}: {error}"
        if failure and failure != self._failures.get(what):
            yield failure
        self._failures[what] = failure

    def _follow(self) -> Iterator[str]:
        subtasks = sum(self._wanted.values())
        yield from self._taskmanagers.start_for(subtasks)
        yield from self._taskmanagers.stop_beyond(subtasks)

    def _agent(self, bounds: Bounds, found: Sequence[str], now: float) -> Iterator[str]:
        jobs = self._flink.jobs(bounds.agent)
        if not jobs:
            return
        job = jobs[0]
        running = self._flink.running_parallelism(job.id)
        wanted = self._wanted[bounds.agent] = self._flink.wanted_parallelism(job.id)
        observed = self._loads[bounds.agent].observe(found, now, job.id, running, wanted)
        if observed is None:
            return
        seen = self._seen[bounds.agent]
        seen.append(observed)
        decision = decide(bounds, self.told.times, seen, self._changed_at(bounds.agent))
        if decision.parallelism > wanted:
            decision = yield from self._with_slots(wanted, decision)
        yield from self._say(bounds, observed, decision)
        if decision.parallelism != wanted:
            yield from self._rescale(bounds, job, wanted, decision)

    def _with_slots(self, before: int, decision: Decision) -> Generator[str, None, Decision]:
        """The decision, as far as there are slots for it once the TaskManagers that it needs run."""
        others = sum(self._wanted.values()) - before
        missing = yield from self._taskmanagers.start_for(others + decision.parallelism)
        slots = self._taskmanagers.slots()
        after = min(decision.parallelism, max(before, slots - others))
        if after == decision.parallelism:
            return decision
        reason = f"{decision.reason}; there are {slots} slots, {others} of them for other agents: {missing}"
        return Decision(after, "no_slots" if after == before else decision.cause, reason)

    def _say(self, bounds: Bounds, observed: Observation, decision: Decision) -> Iterator[str]:
        before = self._standing.get(bounds.agent)
        self._standing[bounds.agent] = Standing(
            agent=bounds.agent,
            at=datetime.fromtimestamp(observed.at, UTC),
            parallelism=observed.running,
            least=bounds.least,
            most=bounds.most,
            cause=decision.cause,
            reason=decision.reason,
            backlog=observed.backlog,
            calls_in_flight=observed.calls_in_flight,
            concurrency_limit=observed.concurrency_limit,
            calls_most=bounds.calls_most,
            last=before.last if before else None,
        )
        if before is None or before.cause != decision.cause:
            yield f"{bounds.agent}: {decision.cause}: {decision.reason}"

    def _rescale(self, bounds: Bounds, job: Job, before: int, decision: Decision) -> Iterator[str]:
        after = self._wanted[bounds.agent] = decision.parallelism
        cost = rescale(self._flink, job.id, after, lambda: calls_in_flight(self._pages.read(), bounds.agent))
        done = Rescale(
            at=datetime.now(UTC),
            before=before,
            after=after,
            reason=decision.reason,
            gap_s=cost.gap_s,
            repeated_calls=cost.repeated_calls,
        )
        self._standing[bounds.agent] = self._standing[bounds.agent].model_copy(update={"last": done})
        # Nobody was looked at meanwhile.
        self._seen.clear()
        gap = "is not over yet" if cost.gap_s is None else f"took {cost.gap_s} s"
        yield (
            f"{bounds.agent}: rescaled from {before} to {after}: no event is worked on in a gap that {gap}, "
            f"{cost.repeated_calls} calls of the model are made again"
        )

    def _changed_at(self, agent: str) -> float:
        standing = self._standing.get(agent)
        return standing.last.at.timestamp() if standing and standing.last else float("-inf")


def main() -> None:
    looks = Looks(Orders.model_validate_json(Path(sys.argv[1]).read_text()))
    while True:
        for line in looks.look(time.time()):
            print(line, flush=True)
        time.sleep(looks.told.times.observe_ms / SECOND_MS)


if __name__ == "__main__":
    main()
