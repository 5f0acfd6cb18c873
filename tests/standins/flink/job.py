"""An agent's job as its topics know it: events are decided one after the other, from a snapshot on.

There is no Flink and no agent in it. It decides each event once, says so in the topic of outcomes, and where
the journal has a note of an event it reports that and puts nothing out, as the runtime does.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from headrace_agents.catching_up import caught_up, decided_before
from headrace_agents.journal import TailReader
from headrace_agents.records import Outcome, Position, Times
from headrace_agents.spec import AgentJobSpec
from headrace_agents.topics import Broker, read_topic, write

EVENTS_A_TICK, TICK_S = 5, 0.2


@dataclass(frozen=True)
class Behaviour:
    """Of an image."""

    dead_letters: bool = False
    """Whether every event becomes one."""
    starts: bool = True


@dataclass
class Job:
    """A version that runs, from `event` on."""

    spec: AgentJobSpec
    behaviour: Behaviour
    event: int
    started_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)

    def __post_init__(self) -> None:
        self._stopped = threading.Event()
        self._notes = self._noted()
        self._thread = threading.Thread(target=self._decide, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """The event that the next one is to go on with."""
        self._stopped.set()
        self._thread.join()
        return self.event

    def flink(self, path: str) -> dict[str, Any]:
        """What Flink's REST interface says of it."""
        now_ms = time.time_ns() // 1_000_000
        if path == "/jobs/overview":
            job = {"jid": "1", "name": self.spec.name, "state": "RUNNING", "start-time": self.started_ms}
            return {"jobs": [job]}
        if path == "/jobs/1/exceptions":
            return {"exceptionHistory": {"entries": []}}
        return {"counts": {"completed": 3}, "latest": {"completed": {"latest_ack_timestamp": now_ms}}}

    def _decide(self) -> None:
        outputs, broker = self.spec.outputs, Broker(self.spec.kafka.bootstrap_servers)
        while not self._stopped.wait(TICK_S):
            events = range(self.event, self.event + EVENTS_A_TICK)
            new = [self._outcome(event) for event in events if event not in self._notes]
            told = [self._notes[event] for event in events if event in self._notes]
            write(broker, outputs.outcomes, [(b"key", each.encode()) for each in new])
            write(broker, outputs.reports, [(b"key", each) for each in told])
            self.event = events.stop

    def _noted(self) -> dict[int, bytes]:
        """Reports of events that are noted in the journal, by event."""
        readers: dict[int, TailReader] = {}
        for record in read_topic(Broker(self.spec.kafka.bootstrap_servers), self.spec.journal.topic):
            reader = readers.setdefault(record.position.partition, TailReader())
            reader.take(record.position.offset, record.value or b"")
        found = {}
        for reader in readers.values():
            for shard in list(reader.of_shard):
                for written in reader.of(shard, 0):
                    before = decided_before([written.entry])
                    if before is not None:
                        report = caught_up(before, shard, written.position, "")
                        found[written.position.offset] = report.encode()
        return found

    def _outcome(self, event: int) -> Outcome:
        topic, now_ms = self.spec.inputs[0].topic, time.time_ns() // 1_000_000
        dead = self.behaviour.dead_letters
        return Outcome(
            agent=self.spec.name,
            **Position(topic, 0, event)._asdict(),
            status="dead_lettered" if dead else "decided",
            decisions=(),
            reason="handler_error" if dead else None,
            times=Times(
                committed_at_ms=now_ms,
                kafka_at_ms=now_ms,
                accepted_at_ms=now_ms,
                started_at_ms=now_ms,
                finished_at_ms=now_ms,
                emitted_at_ms=now_ms,
            ),
            shard=event % self.spec.shards,
            model_calls=0,
        )
