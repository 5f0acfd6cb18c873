"""What an agent's versions did and have to do, as its topics have it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition
from pydantic import BaseModel, ValidationError

from headrace_agents.records import Outcome
from headrace_agents.run_log import RunLog
from headrace_agents.spec import AgentJobSpec
from headrace_agents.topics import Broker, client, ends, no_answer, read_topic
from headrace_agents.upgrades.conduct import Conduct

M = TypeVar("M", bound=BaseModel)

RECENT = 500
"""Outcomes of each partition that tell how a version does."""
TIMEOUT_S = 15
CLOSED_TIMEOUT_S = 30
POLL_S = 0.2

Pause = Callable[[float], object]
"""Lets so many seconds pass; raises where nobody waits any more."""


def recent_conduct(spec: AgentJobSpec) -> Conduct:
    """Of the latest events."""
    outcomes, runs = (
        _before(ends(Broker.of(spec), topic)) for topic in (spec.outputs.outcomes, spec.outputs.runs)
    )
    return Deeds(spec, outcomes, runs).conduct()


class Deeds:
    """What was done of events with an outcome behind these offsets; each record is read once."""

    def __init__(self, spec: AgentJobSpec, outcomes: Mapping[int, int], runs: Mapping[int, int]) -> None:
        self.spec = spec
        self._outcomes, self._runs = dict(outcomes), dict(runs)
        self._known = Conduct()

    def conduct(self) -> Conduct:
        """By now. Raises TopicError where Kafka does not answer; the next look then reads all of it."""
        outcomes, runs = self._outcomes.copy(), self._runs.copy()
        found = Conduct.of(
            _of(self.spec, self.spec.outputs.outcomes, outcomes, Outcome),
            _of(self.spec, self.spec.outputs.runs, runs, RunLog),
        )
        self._outcomes, self._runs, self._known = outcomes, runs, self._known + found
        return self._known


def outcomes_since(
    spec: AgentJobSpec, offsets: Mapping[int, int], until: Mapping[int, int] | None = None
) -> list[Outcome]:
    """Behind these offsets, and before `until`."""
    return list(_of(spec, spec.outputs.outcomes, dict(offsets), Outcome, until))


def between_decisions_s(spec: AgentJobSpec, cutover: Mapping[int, int]) -> float | None:
    """Between the latest outcome before these offsets of the topic and the earliest behind them."""
    recent = outcomes_since(spec, _before(cutover), cutover)
    after = outcomes_since(spec, cutover)
    if not recent or not after:
        return None
    last = max(outcome.times.emitted_at_ms for outcome in recent)
    first = min(outcome.times.emitted_at_ms for outcome in after)
    return max(0.0, (first - last) / 1000)


def settled_ends(spec: AgentJobSpec, topic: str, pause: Pause = time.sleep) -> dict[int, int]:
    """Where a topic ends that no job of the agent writes to any more, when no transaction is open in it.

    What is committed behind an open transaction can't be read before that ends. A job that was cancelled
    ends its own; one of a worker that was killed stays open until the next job aborts it, and what other
    workers committed behind it is not waited for.
    """
    broker, deadline = Broker.of(spec), time.monotonic() + CLOSED_TIMEOUT_S
    while True:
        committed = ends(broker, topic)
        if committed == ends(broker, topic, uncommitted=True) or time.monotonic() >= deadline:
            return committed
        pause(POLL_S)


def backlog(spec: AgentJobSpec) -> int:
    """Events of the input topics behind what the agent's job has committed to have read.

    Markers of transactions have offsets too: one at the end of a partition is no event.
    """
    topics = [each.topic for each in spec.inputs]
    consumer = Consumer(client(Broker.of(spec), **{"group.id": spec.name, "enable.auto.commit": False}))
    try:
        partitions = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        ]
        read = consumer.committed(partitions, timeout=TIMEOUT_S)
        behind = (_behind(consumer, at) for at in read)
        return sum(events for events in behind if events > 1)
    except KafkaException as error:
        raise no_answer(error) from error
    finally:
        consumer.close()


def _behind(consumer: Consumer, at: TopicPartition) -> int:
    low, high = consumer.get_watermark_offsets(at, timeout=TIMEOUT_S)
    return int(high - max(low, at.offset))


def _before(offsets: Mapping[int, int]) -> dict[int, int]:
    return {partition: max(0, end - RECENT) for partition, end in offsets.items()}


def _of(
    spec: AgentJobSpec,
    topic: str,
    offsets: dict[int, int],
    kind: type[M],
    until: Mapping[int, int] | None = None,
) -> Iterator[M]:
    """What is behind `offsets`, which go along; what another version of the runtime wrote otherwise is left
    out."""
    for record in read_topic(Broker.of(spec), topic, offsets=dict(offsets)):
        _, partition, offset = record.position
        offsets[partition] = offset + 1
        if until is not None and offset >= until.get(partition, 0):
            continue
        try:
            yield kind.model_validate_json(record.value or b"")
        except ValidationError:
            continue
