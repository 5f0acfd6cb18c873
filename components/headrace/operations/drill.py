"""`headrace drill`: a process of a running local stack is killed under load, and its recovery is timed.

Moments are Flink's own where Flink knows them: when its JobManager took notice of a failure, and when the
last task began to run. Others are when this process saw it, up to half a second late.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum

from confluent_kafka import Consumer, KafkaException, Message

from headrace.errors import HeadraceError
from headrace.local.context import HOST
from headrace.local.flink_rest import CACHED_S, FlinkRest, JobGone, Unreachable
from headrace.local.topics import OUTAGES, kept, no_answer
from headrace.operations.agents import flink
from headrace.operations.backlog import Backlog, Sample
from headrace.operations.decisions import committed_reader
from headrace.operations.recovery_report import Recovery, Report, Restored, report
from headrace.operations.stack import Stack
from headrace.operations.victims import BROKER, JOBMANAGER, STORAGE, TASKMANAGER, WORKER, Victim
from headrace.operations.wholeness import missing
from headrace.plan.model import StackPlan
from headrace_agents.records import Outcome

SAMPLE_S = 0.1
LOOK_S = 0.5
"""Between two looks at Flink, which has better to do."""
FIRST_OUTCOME_S = 60
WATCHED_S = 10
WATCHED_CHECKPOINTS = 5
"""With exactly-once delivery an event's age goes up and down with the checkpoints."""
PATIENCE_TO_OBJECTIVE = 4
LEAST_PATIENCE_S = 120


class Kill(StrEnum):
    """What can be broken."""

    JOBMANAGER = "jobmanager"
    TASKMANAGER = "taskmanager"
    WORKER = "worker"
    BROKER = "broker"
    STORAGE = "storage"


VICTIMS: Mapping[Kill, Victim] = {
    Kill.JOBMANAGER: JOBMANAGER,
    Kill.TASKMANAGER: TASKMANAGER,
    Kill.WORKER: WORKER,
    Kill.BROKER: BROKER,
    Kill.STORAGE: STORAGE,
}
SERVES: Mapping[Kill, str] = {
    Kill.JOBMANAGER: "flink_rest",
    Kill.BROKER: "kafka",
    Kill.STORAGE: "object_store",
}
"""The port that says that it serves again; Flink itself waits for the others."""


def objective_s(stack: Stack) -> float:
    """``recovery.max_recovery``."""
    return stack.environment.recovery.max_recovery.seconds


def patience_s(stack: Stack) -> float:
    """How long a recovery is watched where nobody says so: long enough to know by how much it is too slow."""
    return max(LEAST_PATIENCE_S, PATIENCE_TO_OBJECTIVE * objective_s(stack))


def refuse_broken(stack: Stack) -> None:
    """Raises HeadraceError unless the stack is local and all of it runs."""
    _ = stack.environment.local
    if found := missing(stack):
        raise HeadraceError(
            f"stack {stack.name} is not whole: {'; '.join(found)}. A drill needs all of it to run: "
            f"`headrace up --stack {stack.name}`, then `headrace status`. Nothing was killed"
        )


def break_and_watch(stack: Stack, kill: Kill, wait_s: float, say: Callable[[str], None]) -> Report:
    """Kill one process of that kind under the load that is there, watch, and report.

    Raises:
        HeadraceError: the stack is not whole, or no agent decides anything; nothing was killed then.
    """
    refuse_broken(stack)
    with _following(stack) as follow:
        usual = _usual_ms(stack, follow, say)
        with ThreadPoolExecutor(1) as looks:
            recovery = _recovery(_Scene.before(stack, kill), follow, usual, wait_s, looks, say)
    return report(recovery, objective_s(stack))


def _usual_ms(stack: Stack, follow: _Follower, say: Callable[[str], None]) -> dict[str, int]:
    """By agent that decides something: the highest age of the oldest undecided event over some time."""
    checkpoints_s = WATCHED_CHECKPOINTS * stack.plan.flink.checkpoints.interval_ms / 1000
    seconds = max(WATCHED_S, checkpoints_s)
    say(f"watching the load for {seconds:.0f} s")
    deadline = time.monotonic() + FIRST_OUTCOME_S
    while not follow.sample().decided_to_ms:
        if time.monotonic() > deadline:
            raise HeadraceError(
                f"no agent of stack {stack.name} decided anything for {FIRST_OUTCOME_S} s: a drill is under "
                "load. Send some, or have the drill do it (--load, which needs the stack's demo rows). "
                "Nothing was killed"
            )
    until = time.monotonic() + seconds
    samples: list[Sample] = []
    while time.monotonic() < until:
        samples.append(follow.sample())
    return {agent: max(each.oldest_ms[agent] for each in samples) for agent in samples[-1].decided_to_ms}


def _recovery(
    scene: _Scene,
    follow: _Follower,
    usual: Mapping[str, int],
    wait_s: float,
    looks: ThreadPoolExecutor,
    say: Callable[[str], None],
) -> Recovery:
    """Kill, then watch until all is as it was, or for `wait_s`."""
    samples: list[Sample] = []
    killed_at_ms = _now_ms()
    before = VICTIMS[scene.kill].kill(scene.stack)
    if not before:
        raise HeadraceError(f"no {scene.kill} process runs in stack {scene.stack.name}. Nothing was killed")
    say(f"{scene.kill}: killed")
    seen = Recovery(scene.kill, killed_at_ms, usual, samples=samples)
    deadline = time.monotonic() + wait_s
    look: Future[Recovery] | None = None
    next_look = 0.0
    while time.monotonic() < deadline:
        samples.append(follow.sample())
        if look is not None and look.done():
            seen, earlier, look = look.result(), seen, None
            _tell(earlier, seen, say)
        if seen.caught_up_at_ms is not None:
            say(f"{scene.kill}: caught up {_since_s(seen, seen.caught_up_at_ms)} s after the kill")
            break
        if look is None and time.monotonic() >= next_look:
            look, next_look = looks.submit(scene.look, seen, before), time.monotonic() + LOOK_S
    return replace(seen, jobs=scene.restored(seen), missing=tuple(_missing_until(scene, before, deadline)))


def _missing_until(scene: _Scene, before: frozenset[int], deadline: float) -> list[str]:
    """What still does not run at the deadline, what was killed among it."""
    while (found := scene.missing(before)) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    return found


def _tell(earlier: Recovery, seen: Recovery, say: Callable[[str], None]) -> None:
    if earlier.noticed_at_ms is None and seen.noticed_at_ms is not None:
        say(f"{seen.killed}: noticed {_since_s(seen, seen.noticed_at_ms)} s after the kill")
    if earlier.restored_at_ms is None and seen.restored_at_ms is not None:
        say(f"{seen.killed}: every task runs again {_since_s(seen, seen.restored_at_ms)} s after the kill")


def _since_s(seen: Recovery, moment_ms: int) -> str:
    return f"{(moment_ms - seen.killed_at_ms) / 1000:.1f}"


@dataclass(frozen=True)
class _Scene:
    """The stack as the drill looks at it: the jobs as they were before the kill."""

    stack: Stack
    kill: Kill
    newest: Mapping[str, int | None]
    """By agent: number of the newest completed checkpoint before the kill."""

    @classmethod
    def before(cls, stack: Stack, kill: Kill) -> _Scene:
        rest = flink(stack)
        return cls(
            stack,
            kill,
            {each.name: rest.completed_checkpoint(_job(rest, each.name)) for each in stack.plan.agents},
        )

    def look(self, seen: Recovery, before: frozenset[int]) -> Recovery:
        """What is known now, beyond what was seen."""
        rest, began_ms = flink(self.stack), _now_ms()
        try:
            if seen.noticed_at_ms is None:
                seen = replace(seen, noticed_at_ms=self._noticed_at_ms(rest, seen, before))
            if seen.noticed_at_ms is not None and seen.serving_at_ms is None:
                seen = replace(seen, serving_at_ms=self._serving_at_ms(seen.noticed_at_ms))
            # What Flink said of jobs just after the loss may be older than it.
            is_settled = seen.noticed_at_ms is not None and began_ms > seen.noticed_at_ms + CACHED_S * 1000
            if is_settled and seen.serving_at_ms is not None and seen.restored_at_ms is None:
                seen = replace(seen, restored_at_ms=self._restored_at_ms(rest, seen, seen.serving_at_ms))
        except (Unreachable, JobGone):
            pass  # the JobManager starts, or recovers its jobs: the next look will tell
        return seen

    def _noticed_at_ms(self, rest: FlinkRest, seen: Recovery, before: frozenset[int]) -> int | None:
        victim = VICTIMS[self.kill]
        if not victim.missed_by_flink:
            return _now_ms() if victim.is_back(self.stack, before) else None
        failures = [_failures_ms(rest, _job(rest, agent), seen.killed_at_ms) for agent in self.newest]
        return min((moment for each in failures for moment in each), default=None)

    def _serving_at_ms(self, noticed_at_ms: int) -> int | None:
        serves = SERVES.get(self.kill)
        if serves is None:
            return noticed_at_ms
        return _now_ms() if _listens(getattr(self.stack.plan.ports, serves)) else None

    def _restored_at_ms(self, rest: FlinkRest, seen: Recovery, serving_at_ms: int) -> int | None:
        """The moment at which the last of the affected tasks began to run; None while one does not."""
        moments = [serving_at_ms]
        for agent in self.newest:
            job = _job(rest, agent)
            failures = _failures_ms(rest, job, seen.killed_at_ms)
            since = rest.running_since_ms(job)
            if since is None or since < max(failures, default=0):
                return None
            moments.append(since)
        return max(moments)

    def restored(self, seen: Recovery) -> tuple[Restored, ...]:
        """Of the jobs whose tasks began anew."""
        rest = flink(self.stack)
        found = []
        for agent, newest in self.newest.items():
            try:
                job = _job(rest, agent)
                since = rest.running_since_ms(job)
                if since is not None and since > seen.killed_at_ms:
                    found.append(Restored(agent, newest, rest.restored_checkpoint(job)))
            except (Unreachable, JobGone):
                continue  # it is among what is missing
        return tuple(found)

    def missing(self, before: frozenset[int]) -> list[str]:
        found = missing(self.stack)
        if not found and not VICTIMS[self.kill].is_back(self.stack, before):
            found.append(f"no {self.kill} process came in place of the killed one")
        return found


def _job(rest: FlinkRest, agent: str) -> str:
    jobs = rest.jobs(agent)
    if not jobs:
        raise JobGone(f"agent {agent} has no job")
    return jobs[0].id


def _failures_ms(rest: FlinkRest, job: str, killed_at_ms: int) -> list[int]:
    return [moment for moment in rest.failures_ms(job) if moment >= killed_at_ms]


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=SAMPLE_S):
            return True
    except OSError:
        return False


@dataclass
class _Follower:
    """Reads what agents take in and put out, as it becomes visible."""

    consumer: Consumer
    backlog: Backlog
    outcomes: frozenset[str] = field(default_factory=frozenset)

    def sample(self) -> Sample:
        """Take what comes within :data:`SAMPLE_S`."""
        until = time.monotonic() + SAMPLE_S
        while (left := until - time.monotonic()) > 0:
            message = self.consumer.poll(left)
            if message is not None:
                self._take(message)
        return self.backlog.sample(_now_ms())

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if not error.retriable() and error.code() not in OUTAGES:
                raise HeadraceError(f"reading {message.topic()}: {error.str()}")
            return
        record = kept(message)
        if record.position.topic in self.outcomes:
            self.backlog.went(Outcome.model_validate_json(record.value or b""))
        else:
            self.backlog.came(record.position, record.timestamp_ms)


@contextmanager
def _following(stack: Stack) -> Iterator[_Follower]:
    """From now on."""
    readers, outcomes = _readers(stack.plan), {each.spec.outputs.outcomes for each in stack.plan.agents}
    topics = [*readers, *outcomes]
    try:
        with committed_reader(f"{HOST}:{stack.plan.ports.kafka}", topics, from_beginning=False) as consumer:
            yield _Follower(consumer, Backlog(readers), frozenset(outcomes))
    except KafkaException as error:
        raise no_answer(error) from error


def _readers(plan: StackPlan) -> dict[str, tuple[str, ...]]:
    """Agents by the topic that they read."""
    topics = {given.topic for agent in plan.agents for given in agent.spec.inputs}
    return {
        topic: tuple(
            agent.name for agent in plan.agents if topic in {given.topic for given in agent.spec.inputs}
        )
        for topic in sorted(topics)
    }


def _now_ms() -> int:
    return round(time.time() * 1000)
