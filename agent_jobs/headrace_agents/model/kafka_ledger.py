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

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from headrace_agents.control import Command, control_key
from headrace_agents.journal import JournalError
from headrace_agents.model.amounts import Amount
from headrace_agents.model.budget import DAY_S, Account
from headrace_agents.model.grants import Entry, Grants, entry
from headrace_agents.msk_login import with_login
from headrace_agents.spec import AgentJobSpec

_CLOCK_SKEW_S = 60
_PATIENCE_S = 120
_POLL_S = 0.05
_AT_ONCE = 500
_FLUSH_S = 10


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
        self._grants = Grants()
        self._asked: dict[int, asyncio.Future[Amount]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: JournalError | None = None
        self._closed = threading.Event()
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
        loop = self._loop = asyncio.get_running_loop()
        number = next(self._numbers)
        granted: asyncio.Future[Amount] = loop.create_future()
        self._asked[number] = granted
        written = entry("asked", account, day, asked, writer=self._writer, number=number, allowance=allowance)
        try:
            self._append(account, written)
            return await granted
        finally:
            self._asked.pop(number, None)

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
        self._closed.set()
        self._thread.join(_PATIENCE_S)
        self._producer.flush(_FLUSH_S)
        if self._consumer is not None:
            self._consumer.close()

    def _partition(self, shard: int) -> int:
        return shard % self._spending.partitions

    def _append(self, account: Account, written: Entry) -> None:
        partition = 0 if account.key is None else self._partition(account.shard)
        self._produce(self._spending.budgets, written.encode(), partition=partition)

    def _produce(self, topic: str, value: bytes, *, key: bytes | None = None, partition: int = -1) -> None:
        while not self._is_queued(topic, value, key, partition):
            # What is queued goes out in the ledger's thread; the queue holds 100 000 records.
            self._check()
            time.sleep(_POLL_S)

    def _is_queued(self, topic: str, value: bytes, key: bytes | None, partition: int) -> bool:
        try:
            self._producer.produce(topic, value, key=key, partition=partition, on_delivery=self._delivered)
        except BufferError:
            return False
        return True

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._fail(f"topic {message.topic()}: {error.str()}")

    def _fail(self, why: str) -> None:
        self._failure = failure = JournalError(why)
        loop = self._loop
        for waiting in list(self._asked.values()):
            if loop is not None:
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(_raise, waiting, failure)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _serve(self) -> None:
        consumer = self._consumer
        while not self._closed.is_set():
            if consumer is None:
                self._producer.poll(_POLL_S)
                continue
            self._producer.poll(0)
            for message in consumer.consume(_AT_ONCE, timeout=_POLL_S):
                self._read(message)

    def _read(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if not error.retriable():
                self._fail(f"topic {self._spending.budgets}: {error.str()}")
            return
        read = Entry.model_validate_json(message.value() or b"")
        granted = self._grants.take(read)
        if read.writer != self._writer or read.kind != "asked":
            return
        waiting, loop = self._asked.get(read.number), self._loop
        if waiting is None or loop is None:
            self._return(granted, read, message.partition() or 0)
            return
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(_resolve, waiting, granted)

    def _return(self, granted: Amount, asked: Entry, partition: int) -> None:
        """Of a run that was ended while it asked."""
        account = Account(asked.model, key=asked.key_hash)
        back = entry("returned", account, asked.day, granted, writer=self._writer, number=next(self._numbers))
        self._produce(self._spending.budgets, back.encode(), partition=partition)

    def _opened(self, partitions: Iterable[int]) -> Consumer:
        """Reads on from the day's first record."""
        topic = self._spending.budgets
        consumer = Consumer(
            {
                **self._client,
                "group.id": "headrace-ledger",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        now = time.time()
        since_ms = round((now - now % DAY_S - _CLOCK_SKEW_S) * 1000)
        wanted = [TopicPartition(topic, each, since_ms) for each in sorted(partitions)]
        found = consumer.offsets_for_times(wanted, timeout=_PATIENCE_S)
        for each in found:
            if each.offset < 0:
                # Nothing is that late. Where the end is by now, as later it would be behind what is written.
                _, each.offset = consumer.get_watermark_offsets(each, timeout=_PATIENCE_S)
        consumer.assign(found)
        return consumer


def _resolve(waiting: asyncio.Future[Amount], granted: Amount) -> None:
    if not waiting.done():
        waiting.set_result(granted)


def _raise(waiting: asyncio.Future[Amount], failure: JournalError) -> None:
    if not waiting.done():
        waiting.set_exception(failure)
