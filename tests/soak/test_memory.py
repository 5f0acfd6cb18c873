"""Python's memory is flat, however many runs there were."""

from __future__ import annotations

import json
import os
import statistics
import time
from dataclasses import asdict, dataclass

import psutil
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from headrace.operations.victims import WORKER
from tests.pipeline.commands import plan_of
from tests.pipeline.injection import INJECTED, created
from tests.pipeline.plugin import Pipeline

AGENT, TABLE, TOPIC = "instant", "public.tickets", "support.public.tickets"
SECONDS = int(os.environ.get("HEADRACE_SOAK_SECONDS", "600"))
KEYS = 10_000
MOST_WAITING = 5_000
"""Events under way: enough to keep the operator busy, far from its bounds."""
BATCH = 500
SAMPLE_S = 2
LEAK_BYTES_PER_RUN = 40
"""A leak of the smallest Python object that holds another one is more."""
DRAINED_WITHIN_S = 120


@dataclass(frozen=True)
class Sample:
    seconds: float
    runs: int
    """That have an outcome by then."""
    resident_bytes: int
    """Of all Python workers."""


def test_memory_stays_flat_over_all_runs(pipeline: Pipeline, figures: dict[str, object]) -> None:
    load, outcomes = Load(pipeline), Outcomes(pipeline)
    workers = WORKER.running(pipeline.stack.found)
    samples: list[Sample] = []
    started = time.monotonic()
    try:
        while (elapsed := time.monotonic() - started) < SECONDS:
            if load.sent - outcomes.count < MOST_WAITING:
                load.send(BATCH)
            outcomes.read()
            if not samples or elapsed - samples[-1].seconds >= SAMPLE_S:
                samples.append(Sample(round(elapsed, 1), outcomes.count, resident(workers)))
        load.flush()
        deadline = time.monotonic() + DRAINED_WITHIN_S
        while outcomes.count < load.sent and time.monotonic() < deadline:
            outcomes.read()
    finally:
        outcomes.close()
    slope = bytes_per_run(samples[len(samples) // 2 :])
    figures |= {
        "runs": outcomes.count,
        "seconds": SECONDS,
        "bytes_per_run_over_the_second_half": round(slope, 2),
        "limit_bytes_per_run": LEAK_BYTES_PER_RUN,
        "samples": [asdict(sample) for sample in samples],
    }
    assert WORKER.running(pipeline.stack.found) == workers
    assert outcomes.count == len(outcomes.positions) == load.sent
    assert slope <= LEAK_BYTES_PER_RUN


def bytes_per_run(samples: list[Sample]) -> float:
    """Slope of the line that fits best."""
    runs = [float(sample.runs) for sample in samples]
    return statistics.linear_regression(runs, [float(sample.resident_bytes) for sample in samples]).slope


def resident(workers: list[psutil.Process]) -> int:
    return sum(int(worker.memory_info().rss) for worker in workers)


class Load:
    """New tickets, straight onto the topic."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.sent = 0
        self._producer = Producer({"bootstrap.servers": pipeline.stack.bootstrap_servers, "linger.ms": 5})

    def send(self, count: int) -> None:
        for _ in range(count):
            self.sent += 1
            customer = self.sent % KEYS
            row = {"id": self.sent, "customer_id": customer, "body": "", "subject": "", "status": "open"}
            key = json.dumps({"customer_id": customer}).encode()
            self._producer.produce(TOPIC, created(TABLE, row), key, headers=[(INJECTED, b"")])
        self._producer.poll(0)

    def flush(self) -> None:
        assert self._producer.flush(DRAINED_WITHIN_S) == 0


class Outcomes:
    """Every outcome, as a consumer with ``read_committed`` gets it."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.count = 0
        self.positions: set[tuple[int, int]] = set()
        topic = plan_of(pipeline.stack, AGENT).spec.outputs.outcomes
        self._consumer = Consumer(
            {
                "bootstrap.servers": pipeline.stack.bootstrap_servers,
                "group.id": "headrace-soak",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
        partitions = self._consumer.list_topics(topic, timeout=DRAINED_WITHIN_S).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in partitions])

    def read(self) -> None:
        for message in self._consumer.consume(5_000, timeout=0.1):
            assert message.error() is None, message.error()
            outcome = json.loads(message.value() or b"")
            self.count += 1
            self.positions.add((outcome["partition"], outcome["offset"]))

    def close(self) -> None:
        self._consumer.close()
