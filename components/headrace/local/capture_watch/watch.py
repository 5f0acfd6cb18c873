"""Watches how sources are captured.

Looks at Kafka Connect, the databases' slots and the newest heartbeats; restarts failed tasks, and gives out
metrics for Prometheus. What does not answer is said once in the log, and looked at again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition
from prometheus_client import CollectorRegistry, Gauge

from headrace.capture import watched
from headrace.capture.standing import slot_standing
from headrace.local.capture_watch.orders import WatchedSource, WatchOrders
from headrace.local.connect_status import runs
from headrace.local.source_access import role_access
from headrace.local.task_restarter import TaskRestarter
from headrace_agents.topics import READS_ALONE

TIMEOUT_S = 10
LAST_RECORDS = 5
"""Of a topic, looked at first: the last of them may be a transaction's marker, which is no record."""


class CaptureWatch:
    """Looks at everything; each look is by itself."""

    def __init__(self, orders: WatchOrders, registry: CollectorRegistry) -> None:
        self._orders = orders
        self._restarter = TaskRestarter(
            httpx.Client(base_url=orders.connect_endpoint, timeout=TIMEOUT_S, trust_env=False)
        )
        self._gauges = {
            metric: Gauge(metric.name, metric.meaning, metric.labels, registry=registry)
            for metric in watched.METRICS
        }
        for each in orders.sources:
            self._gauge(watched.TASK_RESTARTS, each).set(0)
        self._heartbeats = {
            each.source: Heartbeats(orders.bootstrap_servers, each.heartbeats) for each in orders.sources
        }
        self._failures: dict[str, str] = {}

    def look(self, now: float) -> Iterator[str]:
        """Yields what was done, and what does not answer, once, for the log."""
        with self._said("Kafka Connect") as failures:
            yield from self._at_connect(now)
        yield from failures
        for source in self._orders.sources:
            with self._said(f"database {source.database}") as failures:
                self._at_slot(source)
            yield from failures
            with self._said(f"heartbeats of {source.source}") as failures:
                self._at_heartbeats(source)
            yield from failures

    def _at_connect(self, now: float) -> Iterator[str]:
        for connector in self._restarter.pass_over(now):
            for source in self._orders.sources:
                if source.connector == connector:
                    self._gauge(watched.TASK_RESTARTS, source).inc()
            yield f"restarted failed tasks of connector {connector}"
        for source in self._orders.sources:
            status = self._restarter.seen.get(source.connector)
            self._gauge(watched.CONNECTOR_RUNNING, source).set(status is not None and runs(status))

    def _at_slot(self, source: WatchedSource) -> None:
        access = role_access(
            self._orders.postgres_port, source.database, source.role, Path(source.password_file)
        )
        with access.open() as connection:
            standing = slot_standing(connection, source.slot)
        self._gauge(watched.SLOT_LOST, source).set(standing is None or standing.lost)
        self._gauge(watched.SLOT_ACTIVE, source).set(standing is not None and standing.active)
        self._gauge(watched.SLOT_LAG, source).set(standing.lag_bytes if standing else 0)
        self._gauge(watched.SLOT_KEPT, source).set(standing.kept_bytes if standing else 0)
        if standing and standing.cap_bytes is not None:
            self._gauge(watched.SLOT_CAP, source).set(standing.cap_bytes)

    def _at_heartbeats(self, source: WatchedSource) -> None:
        heartbeats = self._heartbeats[source.source]
        heartbeats.look()
        if heartbeats.newest_ms is not None:
            self._gauge(watched.HEARTBEAT_AGE, source).set(
                max(0.0, time.time() - heartbeats.newest_ms / 1000)
            )

    def _gauge(self, metric: watched.Metric, source: WatchedSource) -> Gauge:
        return self._gauges[metric].labels(source.source)

    @contextmanager
    def _said(self, what: str) -> Iterator[list[str]]:
        """Of what fails, the same failure once."""
        said: list[str] = []
        failure = ""
        try:
            yield said
        except (httpx.HTTPError, psycopg.Error, KafkaException, OSError) as error:
            failure = f"{what}: {error}".strip()
            if what == "Kafka Connect":
                for source in self._orders.sources:
                    self._gauge(watched.CONNECTOR_RUNNING, source).set(0)
        if failure and self._failures.get(what) != failure:
            said.append(failure)
        self._failures[what] = failure


class Heartbeats:
    """The newest of a topic of one partition, or of several."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "headrace-capture-watch",
                **READS_ALONE,
                "log_level": 0,
            }
        )
        self._is_assigned = False
        self.newest_ms: int | None = None
        """Timestamp of the record; None before the first."""

    def look(self) -> None:
        """Raises KafkaException where Kafka does not answer."""
        if not self._is_assigned:
            lasts = list(self._lasts())
            if not lasts:
                return  # the topic is still to be made
            self._consumer.assign(lasts)
            self._is_assigned = True
        while messages := self._consumer.consume(100, timeout=0.1):
            times = [message.timestamp()[1] for message in messages if message.error() is None]
            self.newest_ms = max([*times, self.newest_ms or 0]) or None

    def _lasts(self) -> Iterator[TopicPartition]:
        for partition in (
            self._consumer.list_topics(self._topic, timeout=TIMEOUT_S).topics[self._topic].partitions
        ):
            at = TopicPartition(self._topic, partition)
            _, end = self._consumer.get_watermark_offsets(at, timeout=TIMEOUT_S)
            yield TopicPartition(self._topic, partition, max(0, end - LAST_RECORDS))
