"""Grants by the order of a topic: several ledgers over one, with a stand-in for Kafka's clients."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import KafkaError

from headrace_agents.agent import load
from headrace_agents.journal import JournalError
from headrace_agents.kafka_journal import CLOCK_SKEW_MS
from headrace_agents.model import kafka_ledger
from headrace_agents.model.amounts import NOTHING, Amount
from headrace_agents.model.budget import DAY_S, Account
from headrace_agents.model.grants import Entry, Grants, entry
from headrace_agents.model.kafka_ledger import KafkaLedger
from headrace_agents.spec import AllowanceSpec, BudgetSpec, ModelSpec, SpendingSpec
from headrace_agents.testing import DEFAULT_LIMITS, in_memory_spec
from tests.unit.agents.kafka import Broker

TIMEOUT_S = 20
MODEL = ModelSpec(
    endpoint="none",
    name="m",
    timeout_ms=1,
    max_attempts=1,
    max_concurrency=1,
    budget=BudgetSpec(agent=AllowanceSpec(tokens=100), key=None, at_limit="fail"),
)
SPEC = in_memory_spec(
    load("support_triage.agent:SupportTriage", {}), ("customer_id",), DEFAULT_LIMITS
).model_copy(
    update={
        "model": MODEL,
        "spending": SpendingSpec(budgets="budgets", costs="costs", partitions=2),
        "shards": 2,
    }
)
AGENT, KEY = Account("m"), Account("m", 1, "00ff")
GONE = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
Opened = Callable[[], KafkaLedger]


def today() -> int:
    return int(time.time() // DAY_S)


def tokens(many: int) -> Amount:
    return Amount(tokens=many)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(kafka_ledger, "Producer", broker.producer)
    monkeypatch.setattr(kafka_ledger, "Consumer", broker.consumer)
    return broker


@pytest.fixture
def opened(broker: Broker) -> Iterator[Opened]:
    ledgers: list[KafkaLedger] = []

    def open_one() -> KafkaLedger:
        ledgers.append(KafkaLedger(SPEC, [0, 1]))
        return ledgers[-1]

    yield open_one
    broker.full = False
    for ledger in ledgers:
        ledger.close()


def asked(
    ledger: KafkaLedger, many: int, *, account: Account = AGENT, allowance: int = 100
) -> asyncio.Task[Amount]:
    return asyncio.create_task(ledger.grant(account, today(), tokens(many), tokens(allowance)))


async def granted(ledger: KafkaLedger, many: int, *, account: Account = AGENT) -> int:
    given = await asyncio.wait_for(asked(ledger, many, account=account), TIMEOUT_S)
    return given.tokens


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not holds():  # noqa: ASYNC110 - of another thread
            await asyncio.sleep(0.001)


def left_in(broker: Broker, partition: int = 0) -> int:
    """Of the agent's 100 tokens, by all records."""
    grants = Grants()
    for record in broker.records.get(partition, []):
        grants.take(Entry.model_validate_json(record.value()))
    return grants.would_give(AGENT, today(), tokens(1_000), tokens(100)).tokens


def write(broker: Broker, kind: str, many: int, day: int | None = None, at_ms: int | None = None) -> None:
    """As another subtask does."""
    of = today() if day is None else day
    record = entry("asked", AGENT, of, tokens(many), writer="other", number=0, allowance=tokens(100))
    broker.write(record.model_copy(update={"kind": kind}).encode(), timestamp_ms=at_ms)


def test_ledgers_of_one_topic_grant_no_more_than_there_is(broker: Broker, opened: Opened) -> None:
    async def run() -> None:
        ledgers = [opened() for _ in range(3)]
        given = await asyncio.gather(*(granted(ledger, 8) for _ in range(6) for ledger in ledgers))
        assert sorted(given) == [0] * 5 + [4] + [8] * 12
        assert await granted(ledgers[0], 30, account=KEY) == 30

    asyncio.run(run())
    assert broker.end(1) == 1


def test_what_one_gives_back_another_is_granted(broker: Broker, opened: Opened) -> None:
    async def run() -> None:
        one, other = opened(), opened()
        assert await granted(one, 100) == 100
        one.give_back(AGENT, today(), tokens(30))
        await until(lambda: broker.end(0) == 2)
        assert await _once_it_is_read(other, 50) == 30

    asyncio.run(run())


async def _once_it_is_read(ledger: KafkaLedger, many: int) -> int:
    given = 0
    async with asyncio.timeout(TIMEOUT_S):
        while not given:
            given = await granted(ledger, many)
            await asyncio.sleep(0)
    return given


def test_a_ledger_begins_with_the_days_first_record(
    broker: Broker, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_ledger, "_KEPT_AFTER_MIDNIGHT_S", DAY_S)  # as if it were just after
    midnight_ms = today() * DAY_S * 1000
    write(broker, "asked", 100, at_ms=midnight_ms - CLOCK_SKEW_MS - 1)  # no record of today's is so early
    write(broker, "asked", 10, at_ms=midnight_ms - CLOCK_SKEW_MS)
    write(broker, "asked", 50, day=today() - 1, at_ms=midnight_ms)
    write(broker, "asked", 20)

    async def run() -> None:
        ledger = opened()
        assert await granted(ledger, 100) == 70
        of_yesterday = ledger.grant(AGENT, today() - 1, tokens(100), tokens(100))
        assert await asyncio.wait_for(of_yesterday, TIMEOUT_S) == NOTHING

    asyncio.run(run())


@pytest.mark.parametrize("after", ["ends", "times"])
def test_a_days_first_record_that_is_written_as_a_ledger_opens_is_read(
    after: str, broker: Broker, opened: Opened
) -> None:
    write(broker, "asked", 5, day=today() - 2, at_ms=(today() - 2) * DAY_S * 1000)

    def on_question(asked_for: str) -> None:
        if asked_for == after:
            broker.on_question = lambda _: None
            write(broker, "asked", 60)

    broker.on_question = on_question
    assert asyncio.run(granted(opened(), 100)) == 40


def test_a_used_up_allowance_writes_no_record_until_something_is_given_back(
    broker: Broker, opened: Opened
) -> None:
    async def run() -> None:
        ledger = opened()
        assert await granted(ledger, 100) == 100
        await until(lambda: 0 in ledger._read_up)
        for _ in range(10):
            assert await granted(ledger, 1) == 0
        assert broker.end(0) == 1
        assert await granted(ledger, 1, account=KEY) == 1
        write(broker, "returned", 10)
        assert await _once_it_is_read(ledger, 25) == 10

    asyncio.run(run())


def test_a_ledger_that_has_not_read_up_yet_asks_though_nothing_seems_left(
    broker: Broker, opened: Opened
) -> None:
    write(broker, "asked", 100)
    write(broker, "returned", 100)

    async def run() -> None:
        with broker.held(1):
            ledger = opened()
            await until(lambda: ledger._grants.would_give(AGENT, today(), tokens(1), tokens(100)) == NOTHING)
            waiting = asked(ledger, 40)
            await until(lambda: broker.end(0) == 3)
            assert not waiting.done()
        assert (await asyncio.wait_for(waiting, TIMEOUT_S)).tokens == 40

    asyncio.run(run())


def test_a_grant_comes_with_its_record_and_waits_for_no_others(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_ledger, "_POLL_S", 1.5)

    async def run() -> None:
        ledger = opened()
        began = time.monotonic()
        for _ in range(5):
            await granted(ledger, 1)
        assert time.monotonic() - began < 1.5

    asyncio.run(run())


def test_of_days_that_are_over_nothing_is_kept_or_granted() -> None:
    grants = Grants(first_day=7)

    def take(kind: str, day: int) -> int:
        record = entry("asked", AGENT, day, tokens(60), writer="w", number=0, allowance=tokens(100))
        return grants.take(record.model_copy(update={"kind": kind})).tokens

    assert [take("asked", 6), take("asked", 7), take("returned", 6), take("asked", 7)] == [0, 60, 0, 40]
    grants.forget_before(8)
    grants.forget_before(7)
    assert [take("asked", 7), take("returned", 7), take("asked", 8)] == [0, 0, 60]
    assert {day for day, _ in grants._granted} == {8}


@pytest.mark.parametrize("why", ["a record of another kind", "the consumer", "a delivery"])
def test_a_failure_ends_every_wait_and_every_later_call(why: str, broker: Broker, opened: Opened) -> None:
    async def run() -> None:
        ledger = opened()
        if why == "a delivery":
            broker.refuses = GONE
            waiting = [asked(ledger, 1)]
        else:
            with broker.held(0):
                waiting = [asked(ledger, 1), asked(ledger, 2)]
                await until(lambda: broker.end(0) == 2)
                if why == "the consumer":
                    broker.breaks = GONE
                else:
                    broker.records[0].insert(0, broker.write(b'{"kind": "lent"}'))
        for each in waiting:
            with pytest.raises(JournalError, match="topic budgets"):
                await asyncio.wait_for(each, TIMEOUT_S)
        with pytest.raises(JournalError, match="topic budgets"):
            await granted(ledger, 1)
        with pytest.raises(JournalError, match="topic budgets"):
            ledger.write_cost(b"key", b"value")

    asyncio.run(run())


def test_what_a_cancelled_run_asked_for_is_given_back_as_it_comes(broker: Broker, opened: Opened) -> None:
    async def run() -> None:
        ledger = opened()
        with broker.held(0):
            waiting = asked(ledger, 80)
            await until(lambda: broker.end(0) == 1)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            broker.on_read = lambda: setattr(broker, "full", True)  # only a poll makes room
        await until(lambda: broker.end(0) == 2)

    asyncio.run(run())
    assert left_in(broker) == 100


@pytest.mark.parametrize("moment", ["before it is told", "after it was told"])
def test_a_grant_that_comes_as_its_run_is_cancelled_is_given_back(
    moment: str, broker: Broker, opened: Opened
) -> None:
    async def run() -> None:
        ledger = opened()
        with broker.held(0):
            waiting = asked(ledger, 80)
            await until(lambda: broker.end(0) == 1)
            (request,) = ledger._asked.values()
            ledger._read_up.clear()
        if moment == "before it is told":
            # The loop does not turn while the ledger's thread reads on.
            while 0 not in ledger._read_up:
                time.sleep(0.001)  # noqa: ASYNC251
            assert not request.granted.done()
        else:
            while not request.granted.done():  # noqa: ASYNC110 - before its run goes on
                await asyncio.sleep(0)
            assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: broker.end(0) == 2)

    asyncio.run(run())
    assert left_in(broker) == 100


def test_a_ledger_closes_once_what_was_asked_for_is_given_back(broker: Broker, opened: Opened) -> None:
    ledger = opened()

    async def run() -> None:
        waiting = asked(ledger, 80)
        await until(lambda: broker.end(0) == 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    with broker.held(0):
        asyncio.run(run())
        closing = threading.Thread(target=ledger.close)
        closing.start()
        ledger._thread.join(10 * kafka_ledger._POLL_S)
        assert ledger._thread.is_alive()
    closing.join(TIMEOUT_S)

    assert left_in(broker) == 100
    assert broker.ended == ["flush", "close"]
    assert not ledger._thread.is_alive()
