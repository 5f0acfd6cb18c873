"""Budgets and costs in Kafka's topics: see :mod:`headrace_agents.model.grants` and ``costs``.

Runs ask on their loop; a thread of the ledger's own talks to Kafka.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from headrace_agents.control import Command, control_key
from headrace_agents.journal import JournalError
from headrace_agents.kafka_journal import CLOCK_SKEW_MS
from headrace_agents.model.amounts import NOTHING, Amount
from headrace_agents.model.budget import DAY_S, Account, day_of
from headrace_agents.model.grants import Entry, Grants, entry
from headrace_agents.msk_login import with_login
from headrace_agents.spec import AgentJobSpec

_KEPT_AFTER_MIDNIGHT_S = 3_600
"""A day's grants, for requests that were on their way: longer than clocks differ and most outages last."""
_PATIENCE_S = 120
_POLL_S = 0.05
_AT_ONCE = 500
_FLUSH_S = 10


@dataclass(frozen=True, slots=True)
class _Request:
    """Of a run that waits, or was ended meanwhile."""

    account: Account
    day: int
    granted: asyncio.Future[Amount]


class KafkaLedger:
    """A :class:`headrace_agents.model.budget.Ledger` of one subtask with the given shards; its costs go the
    same way. Raises JournalError; what goes wrong in its thread, the next call raises.
    """

    def __init__(self, spec: AgentJobSpec, shards: Sequence[int]) -> None:
        self._spending, self._control = spec.spending, spec.feedback.control
        self._all_shards = spec.shards
        self._client = {
            "bootstrap.servers": spec.kafka.bootstrap_servers,
            "log_level": 0,
            **with_login(spec.journal.client_properties),
        }
        self._writer = uuid.uuid4().hex[:16]
        self._numbers = iter(range(1 << 62))
        self._opened_at = time.time()
        self._grants = Grants(day_of(self._opened_at))
        self._read_up: set[int] = set()
        """Partitions that were read to their end once: before that, what is left of a budget isn't known."""
        self._asked: dict[int, _Request] = {}
        """By number, until the record is read back."""
        self._failure: JournalError | None = None
        self._closed = threading.Event()
        self._drained_by = 0.0
        """Of the monotonic clock, once it is closed."""
        try:
            self._producer = Producer(
                {**self._client, "acks": "all", "enable.idempotence": True, "linger.ms": 5}
            )
            granted = spec.model is not None and any(each.budget for each in spec.model.chain)
            self._consumer = self._opened({0, *map(self._partition, shards)}) if granted else None
        except KafkaException as error:
            raise JournalError(f"topic {self._spending.budgets}: {error}") from error
        self._thread = threading.Thread(target=self._serve, name="headrace-ledger", daemon=True)
        self._thread.start()

    async def grant(self, account: Account, day: int, asked: Amount, allowance: Amount) -> Amount:
        self._check()
        if self._is_used_up(account, day, asked, allowance):
            return NOTHING
        granted: asyncio.Future[Amount] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        self._asked[number] = _Request(account, day, granted)
        written = entry("asked", account, day, asked, writer=self._writer, number=number, allowance=allowance)
        try:
            self._check()  # again: whoever failed since the first did not see this request
            self._append(account, written)
        except JournalError:
            del self._asked[number]
            granted.cancel()
            raise
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self._return(account, day, granted.result())
            raise

    def left(self, account: Account, day: int, allowance: Amount) -> Amount:
        return self._grants.would_give(account, day, allowance, allowance)

    def give_back(self, account: Account, day: int, amount: Amount) -> None:
        number = next(self._numbers)
        self._append(account, entry("returned", account, day, amount, writer=self._writer, number=number))

    def pause_agent(self, day: int) -> None:
        command = Command(id=f"budget-of-day-{day}", kind="pause").encode()
        for shard in range(self._all_shards):
            self._produce(self._control, command, key=control_key(shard))

    def write_cost(self, key: bytes, value: bytes) -> None:
        self._check()
        self._produce(self._spending.costs, value, key=key)

    def close(self) -> None:
        """What runs that were ended asked for is given back as it comes."""
        self._drained_by = time.monotonic() + _FLUSH_S
        self._closed.set()
        self._thread.join(_PATIENCE_S)
        self._producer.flush(_FLUSH_S)
        if self._consumer is not None:
            self._consumer.close()

    def _partition(self, shard: int) -> int:
        return shard % self._spending.partitions

    def _partition_of(self, account: Account) -> int:
        return 0 if account.key is None else self._partition(account.shard)

    def _is_used_up(self, account: Account, day: int, asked: Amount, allowance: Amount) -> bool:
        """By what was read so far: what others give back is seen when it is asked again."""
        would_give = self._grants.would_give(account, day, asked, allowance)
        return self._partition_of(account) in self._read_up and would_give == NOTHING

    def _append(self, account: Account, written: Entry) -> None:
        self._produce(self._spending.budgets, written.encode(), partition=self._partition_of(account))

    def _produce(self, topic: str, value: bytes, *, key: bytes | None = None, partition: int = -1) -> None:
        while not self._is_queued(topic, value, key, partition):
            # It holds 100 000 records, and has room again as deliveries are told.
            self._check()
            self._producer.poll(_POLL_S)

    def _is_queued(self, topic: str, value: bytes, key: bytes | None, partition: int) -> bool:
        try:
            self._producer.produce(topic, value, key=key, partition=partition, on_delivery=self._delivered)
        except BufferError:
            return False
        except KafkaException as error:
            raise JournalError(f"topic {topic}: {error}") from error
        return True

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._fail(f"topic {message.topic()}: {error.str()}")

    def _fail(self, why: str) -> None:
        if self._failure is None:
            self._failure = JournalError(why)
        for request in list(self._asked.values()):
            with suppress(RuntimeError):  # the loop has ended meanwhile
                request.granted.get_loop().call_soon_threadsafe(_raise, request.granted, self._failure)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _serve(self) -> None:
        try:
            while not self._is_over():
                self._take_turn()
        except Exception as error:  # noqa: BLE001 - raised again by the next call
            self._fail(f"topic {self._spending.budgets}: {error}")

    def _is_over(self) -> bool:
        if not self._closed.is_set():
            return False
        return not self._asked or self._failure is not None or time.monotonic() > self._drained_by

    def _take_turn(self) -> None:
        consumer = self._consumer
        if consumer is None:
            self._producer.poll(_POLL_S)
            return
        self._producer.poll(0)
        self._grants.forget_before(day_of(time.time() - _KEPT_AFTER_MIDNIGHT_S))
        first = consumer.poll(_POLL_S)
        if first is not None:
            # What is there by now: with a timeout it would wait until there are so many.
            for message in (first, *consumer.consume(_AT_ONCE, timeout=0)):
                self._read(message)

    def _read(self, message: Message) -> None:
        error = message.error()
        if error is None:
            self._take(Entry.model_validate_json(message.value() or b""))
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (its public name in this client)
            self._read_up.add(message.partition() or 0)
        elif not error.retriable():
            raise KafkaException(error)

    def _take(self, read: Entry) -> None:
        granted = self._grants.take(read)
        if read.writer != self._writer or read.kind != "asked":
            return
        request = self._asked.pop(read.number)
        if not request.granted.cancelled():
            with suppress(RuntimeError):  # the loop has ended meanwhile
                request.granted.get_loop().call_soon_threadsafe(self._resolve, request, granted)
                return
        self._return(request.account, request.day, granted)

    def _resolve(self, request: _Request, granted: Amount) -> None:
        if request.granted.done():
            self._return(request.account, request.day, granted)
        else:
            request.granted.set_result(granted)

    def _return(self, account: Account, day: int, granted: Amount) -> None:
        """Of a run that was ended while it asked; after a failure there is no way back."""
        if granted != NOTHING:
            with suppress(JournalError):
                self.give_back(account, day, granted)

    def _opened(self, partitions: Iterable[int]) -> Consumer:
        """Reads on from the day's first record."""
        topic = self._spending.budgets
        consumer = Consumer(
            {
                **self._client,
                "group.id": "headrace-ledger",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )
        since_ms = day_of(self._opened_at) * DAY_S * 1000 - CLOCK_SKEW_MS
        wanted = [TopicPartition(topic, each, since_ms) for each in sorted(partitions)]
        # First the ends: what is written from here on is read, also where nothing is that late yet.
        ends = {at.partition: consumer.get_watermark_offsets(at, timeout=_PATIENCE_S)[1] for at in wanted}
        found = consumer.offsets_for_times(wanted, timeout=_PATIENCE_S)
        for at in found:
            if at.offset < 0:
                at.offset = ends[at.partition]
        consumer.assign(found)
        return consumer


def _raise(waiting: asyncio.Future[Amount], failure: JournalError) -> None:
    if not waiting.done():
        waiting.set_exception(failure)
