"""The write-ahead journal in a Kafka topic; its records are described in :mod:`headrace_agents.journal`.

Three threads meet here. Runs append on their loop, the operator reads, and a thread of the journal's own
hands over what Kafka acknowledges. A shard's records are all in one partition, its index modulo their number.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from headrace_agents.figures import counter
from headrace_agents.journal import (
    JournalError,
    Progress,
    TailReader,
    Written,
    encode_claim,
    encode_mark,
    encode_step,
)
from headrace_agents.msk_login import with_login
from headrace_agents.records import LARGEST_RECORD_BYTES
from headrace_agents.spec import JournalSpec

log = logging.getLogger(__name__)

T = TypeVar("T")
Client = TypeVar("Client", Producer, Consumer)

CLOCK_SKEW_MS = 60_000
"""Clocks of the machines that write events and journal differ by less."""
_PATIENCE_S = 120
_POLL_S = 0.1
_FETCH_WAIT_MS = 10
_READ_S = 0.02
"""A read waits for so long, where a partition has less than it takes at once."""


@dataclass
class _Tail:
    """What was read of a partition, from an offset to this owner's claims."""

    start: int
    reader: TailReader = field(default_factory=TailReader)


@dataclass
class JournalFigures:
    """Of the write-ahead journal."""

    journal_appended: int = counter("Records that were appended.")
    journal_tail_records: int = counter(
        "Records that were read after the start, of all shards that share a partition."
    )
    journal_discarded: int = counter("Steps that an earlier owner wrote after it had lost its shard.")


class KafkaJournal:
    """A :class:`headrace_agents.journal.Journal` of the given shards.

    Made on the operator's thread; it returns when the shards are claimed. Raises JournalError.
    """

    def __init__(self, spec: JournalSpec, bootstrap_servers: str, shards: Sequence[int]) -> None:
        self._spec = spec
        self._owner = uuid.uuid4().bytes
        self._client = {
            "bootstrap.servers": bootstrap_servers,
            "log_level": 0,
            **with_login(spec.client_properties),
        }
        acknowledged = {
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 0,
            # librdkafka's own bound is 1 MB.
            "message.max.bytes": LARGEST_RECORD_BYTES,
        }
        self._producer = self._made(Producer, acknowledged)
        self._shards = shards
        self._partitions = sorted({self._partition(shard) for shard in shards})
        self._progress = Progress({shard: self._partition(shard) for shard in shards})
        """The loop's, once there is one; what it comes to is read by the operator, too."""
        self._handed_over: dict[int, int] = {}
        """By shard, the offset of the step that is settled next."""
        self._tails: dict[int, _Tail] = {}
        self._low: dict[int, int] = {}
        self._made_reader: Consumer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: JournalError | None = None
        self.figures = JournalFigures()
        self._closed = threading.Event()
        self._claims = self._claim()
        for shard, offset in sorted(self._claims.items(), key=lambda claim: claim[1]):
            self._progress.acknowledge_mark(self._partition(shard), offset)
        self._thread = threading.Thread(target=self._serve, name="headrace-journal", daemon=True)
        self._thread.start()

    async def append(self, shard: int, written: Written) -> None:
        loop = self._loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[int] = loop.create_future()

        def told(error: KafkaError | None, message: Message) -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile, and the run with it
                loop.call_soon_threadsafe(
                    self._acknowledge, shard, acknowledged, error, message.offset() or 0
                )

        while True:
            try:
                self._producer.produce(
                    self._spec.topic,
                    encode_step(shard, self._owner, written),
                    partition=self._partition(shard),
                    on_delivery=told,
                )
                break
            except BufferError:
                await asyncio.sleep(_POLL_S)
        self.figures.journal_appended += 1
        try:
            await acknowledged
        finally:
            # Cancelled or not, what was acknowledged by now is settled next.
            if acknowledged.done() and not acknowledged.cancelled() and acknowledged.exception() is None:
                self._handed_over[shard] = acknowledged.result()

    def settled(self, shard: int) -> None:
        offset = self._handed_over.pop(shard, None)
        if offset is not None:
            self._progress.settle(shard, offset)

    def _acknowledge(
        self, shard: int, waiting: asyncio.Future[int], error: KafkaError | None, offset: int
    ) -> None:
        if error is None:
            self._progress.acknowledge_step(shard, offset, awaited=not waiting.done())
        if waiting.done():
            return
        if error is None:
            waiting.set_result(offset)
        else:
            waiting.set_exception(JournalError(error.str()))

    def collected_until(self, shard: int) -> int | None:
        if self._failure is not None:
            raise self._failure
        return self._progress.until.get(shard)

    def tail(self, shard: int, from_offset: int | None, since_ms: int) -> Iterable[Written]:
        partition, claim = self._partition(shard), self._claims[shard]
        low = self._low_watermark(partition)
        if low >= self._first_claim(partition):
            return ()
        start = max(low, self._offset_at(partition, since_ms) if from_offset is None else from_offset)
        if start >= claim:
            return ()
        end = max(offset for other, offset in self._claims.items() if self._partition(other) == partition)
        tail = self._tails.setdefault(partition, _Tail(end + 1))
        if start < tail.start:
            # What other shards needed was read already.
            self._read(partition, start, tail)
        discarded = tail.reader.discarded
        steps = tail.reader.of(shard, start)
        self.figures.journal_discarded += tail.reader.discarded - discarded
        return steps

    def close(self) -> None:
        """What is not acknowledged by now is not waited for: its runs are ended too."""
        self._closed.set()
        self._thread.join(_PATIENCE_S)
        if self._made_reader is not None:
            self._made_reader.close()

    def _partition(self, shard: int) -> int:
        return shard % self._spec.partitions

    def _claim(self) -> dict[int, int]:
        """Offsets of this owner's claims, by shard."""
        offsets: dict[int, int] = {}
        errors: list[KafkaError] = []

        def teller(shard: int) -> Callable[[KafkaError | None, Message], None]:
            def told(error: KafkaError | None, message: Message) -> None:
                if error is not None:
                    errors.append(error)
                else:
                    offsets[shard] = message.offset() or 0

            return told

        for shard in self._shards:
            self._producer.produce(
                self._spec.topic,
                encode_claim(shard, self._owner),
                partition=self._partition(shard),
                on_delivery=teller(shard),
            )
        left = self._producer.flush(_PATIENCE_S)
        if errors or left:
            why = errors[0].str() if errors else f"no answer within {_PATIENCE_S} s"
            raise JournalError(f"shards can't be claimed in topic {self._spec.topic}: {why}")
        return offsets

    def _serve(self) -> None:
        """Hands acknowledgements over, and writes a mark to each partition now and then."""
        pause_s = self._spec.mark_interval_ms / 1000
        due = time.monotonic() + pause_s
        while not self._closed.is_set():
            self._producer.poll(_POLL_S)
            if time.monotonic() >= due:
                due = time.monotonic() + pause_s
                self._mark()

    def _mark(self) -> None:
        """All that was written before a mark is acknowledged before it, so nothing below it is on its way."""
        for partition in self._partitions:
            try:
                self._producer.produce(
                    self._spec.topic, encode_mark(self._owner), partition=partition, on_delivery=self._marked
                )
            except BufferError:
                return  # the queue is full: the next mark will do

    def _marked(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._fail(error)
            return
        partition, offset, loop = message.partition() or 0, message.offset() or 0, self._loop
        if loop is None:
            self._progress.acknowledge_mark(partition, offset)
        else:
            with suppress(RuntimeError):
                # Behind the steps that were acknowledged before it.
                loop.call_soon_threadsafe(self._progress.acknowledge_mark, partition, offset)

    def _fail(self, error: KafkaError) -> None:
        self._failure = JournalError(f"topic {self._spec.topic}: {error.str()}")

    @property
    def _reader(self) -> Consumer:
        """One for all partitions and questions: to make one and to close it takes a tenth of a second."""
        if self._made_reader is None:
            self._made_reader = self._made(
                Consumer,
                {
                    "group.id": "headrace-journal",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "error",
                    "enable.partition.eof": False,
                    # A read of another partition waits for the answer to the last request for this one.
                    "fetch.wait.max.ms": _FETCH_WAIT_MS,
                },
            )
        return self._made_reader

    def _made(self, kind: Callable[[dict[str, object]], Client], properties: dict[str, object]) -> Client:
        try:
            return kind({**self._client, **properties})
        except KafkaException as error:
            raise JournalError(f"no client of {self._client['bootstrap.servers']}: {error}") from error

    def _first_claim(self, partition: int) -> int:
        return min(offset for shard, offset in self._claims.items() if self._partition(shard) == partition)

    def _low_watermark(self, partition: int) -> int:
        """As it was when it was first asked for."""
        if partition not in self._low:
            at = TopicPartition(self._spec.topic, partition)
            low, _ = self._ask(lambda consumer: consumer.get_watermark_offsets(at, timeout=_PATIENCE_S))
            self._low[partition] = int(low)
        return self._low[partition]

    def _offset_at(self, partition: int, since_ms: int) -> int:
        """Of the first record that may belong to an event of that time."""
        at = TopicPartition(self._spec.topic, partition, max(0, since_ms - CLOCK_SKEW_MS))
        (found,) = self._ask(lambda consumer: consumer.offsets_for_times([at], timeout=_PATIENCE_S))
        # -1: nothing is that late.
        return int(found.offset) if found.offset >= 0 else max(self._claims.values()) + 1

    def _ask(self, question: Callable[[Consumer], T]) -> T:
        try:
            return question(self._reader)
        except KafkaException as error:
            raise JournalError(f"topic {self._spec.topic}: {error}") from error

    def _read(self, partition: int, start: int, tail: _Tail) -> None:
        before = tail.reader.records
        for offset, value in self._values(partition, start, tail.start - 1):
            tail.reader.take(offset, value)
        tail.start = start
        read = tail.reader.records - before
        self.figures.journal_tail_records += read
        log.info("journal partition %d: %d records from offset %d", partition, read, start)

    def _values(self, partition: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Of the records at ``[start, end]``."""
        consumer = self._reader
        deadline = time.monotonic() + _PATIENCE_S
        try:
            consumer.assign([TopicPartition(self._spec.topic, partition, start)])
            while True:
                for message in consumer.consume(1000, timeout=_READ_S):
                    error = message.error()
                    if error is not None:
                        raise JournalError(f"topic {self._spec.topic}, partition {partition}: {error.str()}")
                    deadline = time.monotonic() + _PATIENCE_S
                    offset = message.offset() or 0
                    if offset <= end:
                        yield offset, message.value() or b""
                    if offset >= end:
                        return
                if time.monotonic() > deadline:
                    raise JournalError(
                        f"topic {self._spec.topic}, partition {partition}: nothing more to read"
                    )
        finally:
            consumer.unassign()
