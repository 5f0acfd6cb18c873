"""An agent's write-ahead journal, as its topic has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from confluent_kafka import Consumer, Producer, TopicPartition

from headrace.plan.model import AgentPlan
from headrace_agents.codec import INPUT_DIGEST_BYTES, JournalEntry
from headrace_agents.journal import OWNER_BYTES, Written, encode_step
from headrace_agents.records import Position
from tests.pipeline.offsets import ends
from tests.pipeline.stack import LiveStack

TIMEOUT_S = 30
_KIND, _OWNER = slice(1, 2), slice(6, 6 + OWNER_BYTES)
RESULT = b"x" * 100


def fill(stack: LiveStack, agent: AgentPlan, count: int) -> None:
    """Steps of events long decided, spread over all shards."""
    spec, producer = agent.spec, Producer({"bootstrap.servers": stack.bootstrap_servers, "linger.ms": 20})
    for number in range(count):
        shard = number % spec.shards
        entry = JournalEntry("filled", 0, bytes(INPUT_DIGEST_BYTES), RESULT)
        value = encode_step(shard, bytes(OWNER_BYTES), Written(Position("filled", 0, number), 0, entry))
        while True:
            try:
                producer.produce(spec.journal.topic, value, partition=shard % spec.journal.partitions)
                break
            except BufferError:
                producer.poll(1)
    assert producer.flush(TIMEOUT_S) == 0


def marks(stack: LiveStack, agent: AgentPlan, since: dict[int, int]) -> Counter[int]:
    """How many marks there are from an offset on, by partition."""
    return Counter(partition for partition, value in _values(stack, agent, since) if value[_KIND] == b"m")


def owners(stack: LiveStack, agent: AgentPlan) -> set[bytes]:
    """Everyone who ever claimed a shard: subtasks, each once for each of its starts."""
    values = _values(stack, agent, dict.fromkeys(range(agent.spec.journal.partitions), 0))
    return {value[_OWNER] for _, value in values if value[_KIND] == b"c"}


def _values(stack: LiveStack, agent: AgentPlan, since: dict[int, int]) -> Iterator[tuple[int, bytes]]:
    """What is there now, from offsets on."""
    unread = {
        partition: end
        for partition, end in ends(stack.bootstrap_servers, agent.spec.journal.topic).items()
        if end > since[partition]
    }
    consumer = _consumer(stack)
    try:
        consumer.assign([TopicPartition(agent.spec.journal.topic, each, since[each]) for each in unread])
        while unread:
            messages = consumer.consume(1000, timeout=TIMEOUT_S)
            assert messages, f"not read to their ends: {unread}"
            for message in messages:
                assert message.error() is None, message.error()
                partition, offset = message.partition() or 0, message.offset() or 0
                yield partition, message.value() or b""
                if offset + 1 >= unread.get(partition, offset + 2):
                    del unread[partition]
    finally:
        consumer.close()


def _consumer(stack: LiveStack) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": stack.bootstrap_servers,
            "group.id": "headrace-tests-journal",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "log_level": 0,
        }
    )
