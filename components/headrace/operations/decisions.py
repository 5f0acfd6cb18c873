"""Reading what agents decided, as a consumer of their topics sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, Message, TopicPartition

from headrace.errors import HeadraceError
from headrace.plan.model import StackPlan

POLL_S = 0.2
METADATA_TIMEOUT_S = 15

Record = dict[str, Any]


@dataclass(frozen=True)
class Decided:
    """An event's outcome with its decisions, when it became visible."""

    outcome: Record
    decisions: tuple[Record, ...]
    seen_at_ms: int

    @property
    def latency_ms(self) -> int | None:
        """From the database's commit to here; None for a record that no commit is known of."""
        committed = self.outcome["times"]["committed_at_ms"]
        return self.seen_at_ms - committed if committed is not None else None


@dataclass
class Pairing:
    """Brings outcomes and their decisions together.

    They are one transaction, so all of them are there when one is seen; but they are in different topics,
    so an outcome waits here for the last of its decisions.
    """

    decisions: dict[str, Record] = field(default_factory=dict)
    """Seen, and not yet asked for."""
    waiting: list[Record] = field(default_factory=list)

    def add_decision(self, record: Record) -> None:
        self.decisions[record["id"]] = record

    def add_outcome(self, record: Record) -> None:
        self.waiting.append(record)

    def complete(self) -> list[tuple[Record, tuple[Record, ...]]]:
        """Takes out the outcomes that have all their decisions, in the order of their arrival."""
        complete = [o for o in self.waiting if self.decisions.keys() >= set(o["decisions"])]
        self.waiting = [o for o in self.waiting if o not in complete]
        return [(o, tuple(self.decisions.pop(d) for d in o["decisions"])) for o in complete]


def follow(
    plan: StackPlan, bootstrap_servers: str, *, from_beginning: bool = False
) -> Iterator[Decided | None]:
    """Outcomes of all agents as they become visible (``read_committed``); None whenever nothing is new."""
    topics = [topic for a in plan.agents for topic in (a.spec.outputs.decisions, a.spec.outputs.outcomes)]
    outcome_topics = {a.spec.outputs.outcomes for a in plan.agents}
    pairing = Pairing()
    with committed_reader(bootstrap_servers, topics, from_beginning=from_beginning) as consumer:
        while True:
            message = consumer.poll(POLL_S)
            if message is not None:
                add = pairing.add_outcome if message.topic() in outcome_topics else pairing.add_decision
                add(_record(message))
            complete = pairing.complete()
            for outcome, decisions in complete:
                yield Decided(outcome, decisions, round(time.time() * 1000))
            if not complete:
                yield None


class committed_reader:  # noqa: N801  (used as a function)
    """A consumer of all partitions of `topics` that belongs to no group and commits nothing."""

    def __init__(self, bootstrap_servers: str, topics: list[str], *, from_beginning: bool) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "headrace-reader",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
                "log_level": 0,
            }
        )
        self._topics = topics
        self._offset = OFFSET_BEGINNING if from_beginning else OFFSET_END

    def __enter__(self) -> Consumer:
        try:
            known = self._consumer.list_topics(timeout=METADATA_TIMEOUT_S).topics
        except KafkaException as error:
            raise HeadraceError(
                f"Kafka does not answer: {error.args[0].str()}; is the stack up? (`headrace status`)"
            ) from error
        missing = [topic for topic in self._topics if topic not in known]
        if missing:
            raise HeadraceError(f"no topic {', '.join(missing)}; is the stack up? (`headrace status`)")
        partitions = [TopicPartition(t, p, self._offset) for t in self._topics for p in known[t].partitions]
        self._consumer.assign(partitions)
        # Positions are resolved at the first fetch: until then "the end" would move with what is written.
        for partition in partitions if self._offset == OFFSET_END else []:
            end = self._consumer.get_watermark_offsets(partition, timeout=METADATA_TIMEOUT_S)[1]
            self._consumer.seek(TopicPartition(partition.topic, partition.partition, end))
        return self._consumer

    def __exit__(self, *exc: object) -> None:
        self._consumer.close()


def _record(message: Message) -> Record:
    error = message.error()
    if error is not None:
        raise HeadraceError(f"reading {message.topic()}: {error.str()}")
    return dict(json.loads(message.value() or b"{}"))
