"""The ledger: every change, what became of it, and every way in which that can be wrong.

Read from Kafka as a consumer with ``read_committed`` reads it. :func:`violations` is pure and says what
does not add up, each with its record.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from headrace.plan.model import StackPlan
from headrace_agents.records import DecisionRecord, Outcome, Position, decision_id
from tests.pipeline.load import TICKETS, Change
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

INJECTED = "headrace.test.injected"
"""Header of records that a test put onto an input topic itself: no change of the load."""
READ_TIMEOUT_S = 60
METADATA_TIMEOUT_S = 15
DRAINED_AFTER_S = 0.1
SHOWN = 40
"""Violations in a message."""


@dataclass(frozen=True)
class Record:
    """A Kafka record."""

    position: Position
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]

    @property
    def injected(self) -> bool:
        return INJECTED in self.headers

    @cached_property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.value or b"{}"))


@dataclass(frozen=True)
class AgentBook:
    """What one agent put out, in the order of its topics' partitions."""

    inputs: frozenset[str]
    """Topics it reads."""
    outcomes: Sequence[Record]
    decisions: Sequence[Record]
    dead_letters: Sequence[Record]
    replays: Sequence[Record] = ()
    """Dead letters that were tried again: events, each with an outcome of its own."""


@dataclass(frozen=True)
class Book:
    """Everything that is in the topics of a stack."""

    changes: Sequence[Record]
    """Of every captured table, by topic, partition and offset."""
    tables: Mapping[str, str]
    """Topic -> table."""
    agents: Mapping[str, AgentBook]


@dataclass
class Topics:
    """A reader of whole topics; each partition from its beginning."""

    bootstrap_servers: str
    names: Iterable[str]
    records: dict[str, list[Record]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": "headrace-ledger",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.message.max.bytes": 16 * 1024 * 1024,
                "log_level": 0,
            }
        )
        known = self._consumer.list_topics(timeout=METADATA_TIMEOUT_S).topics
        partitions = [(name, partition) for name in self.names for partition in known[name].partitions]
        self._unread = set(partitions)
        self.records = {name: [] for name in self.names}
        self._consumer.assign([TopicPartition(*each, OFFSET_BEGINNING) for each in partitions])

    def drain(self) -> None:
        """Take what is there now."""
        while (message := self._consumer.poll(DRAINED_AFTER_S)) is not None:
            self._take(message)

    def read_to_end(self) -> None:
        """Take everything that was committed before this call; for a reader that has taken nothing yet."""
        deadline = time.monotonic() + READ_TIMEOUT_S
        while self._unread:
            assert time.monotonic() < deadline, f"not read to their end: {sorted(self._unread)}"
            if (message := self._consumer.poll(1)) is not None:
                self._take(message)

    def close(self) -> None:
        self._consumer.close()

    def _take(self, message: Message) -> None:
        error, position = message.error(), _read_at(message)
        if error is None:
            headers = {name: _bytes(value) for name, value in dict(message.headers() or []).items()}
            record = Record(position, message.timestamp()[1], message.key(), message.value(), headers)
            self.records[position.topic].append(record)
        elif error.code() == KafkaError._PARTITION_EOF:
            self._unread.discard((position.topic, position.partition))
        else:
            assert error.retriable() or error.code() in OUTAGES, f"reading {position}: {error.str()}"


OUTAGES = frozenset(
    {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._TIMED_OUT}
)
"""The broker is gone for now: the reader goes on when it is back."""


class Ledger:
    """Follows a stack's topics while it runs, and judges them."""

    def __init__(self, stack: LiveStack) -> None:
        self._stack = stack
        self._topics: Topics | None = None

    def close(self) -> None:
        if self._topics is not None:
            self._topics.close()
            self._topics = None

    def book(self) -> Book:
        """What the topics hold, with what came since the last call. No end: see :meth:`verify`."""
        if self._topics is None:
            self._topics = Topics(self._stack.bootstrap_servers, _names(self._stack.plan))
        self._topics.drain()
        return _book(self._stack.plan, self._topics.records)

    def has_decided(self, ticket: int) -> bool:
        """Whether every agent has an outcome for the insert of that ticket."""
        book = self.book()
        inserted = {r.position for r in book.changes if _inserts(r, ticket, book.tables)}
        agents = book.agents.values()
        return bool(inserted) and all(inserted <= _positions(agent.outcomes) for agent in agents)

    def settle(self, committed: Sequence[Change], timeout_s: float) -> None:
        """Wait until each change is captured and every record that an agent reads has an outcome from it."""

        def settled() -> bool:
            book = self.book()
            captured = sum(not record.injected for record in book.changes)
            return captured >= len(committed) and not any(
                _unanswered(book, agent) for agent in book.agents.values()
            )

        until("every change captured and decided", settled, timeout_s, lambda: self._counts(committed))

    def verify(self, committed: Sequence[Change], timeout_s: float) -> Book:
        """Settle, let what may be too much come too, and hold that nothing is wrong."""
        self.settle(committed, timeout_s)
        # What is emitted becomes visible with a checkpoint: two more, and a repetition would be here.
        seen = {agent: self._stack.checkpoints_completed(agent) for agent in self._stack.agents}
        until(
            "two more checkpoints of each agent",
            lambda: all(self._stack.checkpoints_completed(a) >= n + 2 for a, n in seen.items()),
            timeout_s,
        )
        book = self.read()
        found = violations(book, committed)
        assert not found, f"{len(found)} violations:\n" + "\n".join(found[:SHOWN])
        return book

    def read(self) -> Book:
        """Everything that is committed now, read anew."""
        topics = Topics(self._stack.bootstrap_servers, _names(self._stack.plan))
        try:
            topics.read_to_end()
            return _book(self._stack.plan, topics.records)
        finally:
            topics.close()

    def _counts(self, committed: Sequence[Change]) -> str:
        book = self.book()
        agents = {
            name: f"{len(agent.outcomes)} outcomes, {len(agent.decisions)} decisions, "
            f"{len(agent.dead_letters)} dead letters, unanswered {sorted(_unanswered(book, agent))[:5]}"
            for name, agent in book.agents.items()
        }
        return f"{len(committed)} changes, {len(book.changes)} captured, {agents}"


def violations(book: Book, committed: Sequence[Change]) -> list[str]:
    """What does not add up; nothing where every change has exactly one right outcome from every agent."""
    return [
        *_capture_violations(book, committed),
        *(
            f"{name}: {violation}"
            for name, agent in book.agents.items()
            for violation in _agent_violations(name, agent, book)
        ),
    ]


def _capture_violations(book: Book, committed: Sequence[Change]) -> Iterator[str]:
    """Every committed change once in its topic, per key in the order of commit, with its row."""
    wanted: dict[tuple[str, int], list[str]] = defaultdict(list)
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    for change in committed:
        wanted[change.table, change.key].append(_text(change.operation, change.row))
    for record in book.changes:
        if not record.injected:
            wrong = record.json["op"], record.json["before" if record.json["op"] == "d" else "after"]
            key = json.loads(record.key or b"{}")
            found[book.tables[record.position.topic], next(iter(key.values()), -1)].append(_text(*wrong))
    for table, key in sorted(wanted.keys() | found.keys()):
        want, got = wanted[table, key], found[table, key]
        lost, more = Counter(want) - Counter(got), Counter(got) - Counter(want)
        yield from (f"{table} {key}: committed and not captured: {each}" for each in lost.elements())
        yield from (f"{table} {key}: captured more often than committed: {each}" for each in more.elements())
        if not lost and not more and want != got:
            yield f"{table} {key}: captured in another order than committed: {got}, not {want}"


def _agent_violations(name: str, agent: AgentBook, book: Book) -> Iterator[str]:
    inputs = {r.position: r for r in book.changes if r.position.topic in agent.inputs}
    outcomes = [Outcome.model_validate_json(record.value or b"") for record in agent.outcomes]
    yield from _outcome_violations(name, outcomes, inputs | {r.position: r for r in agent.replays})
    yield from _decision_violations(name, outcomes, agent.decisions)
    yield from _dead_letter_violations(outcomes, agent.dead_letters, inputs)
    yield from _order_violations("outcomes", agent.outcomes, lambda r: _position(r.json))
    yield from _order_violations("decisions", agent.decisions, lambda r: _position(r.json["event"]))
    yield from _memory_violations(outcomes, agent.decisions, inputs)


def _outcome_violations(
    name: str, outcomes: Sequence[Outcome], inputs: Mapping[Position, Record]
) -> Iterator[str]:
    counts = Counter(Position(o.topic, o.partition, o.offset) for o in outcomes)
    yield from (f"no outcome: {inputs[position]}" for position in sorted(inputs.keys() - counts.keys()))
    yield from (f"an outcome of nothing: {position}" for position in sorted(counts.keys() - inputs.keys()))
    yield from (f"{count} outcomes: {position}" for position, count in counts.items() if count > 1)
    yield from (f"another agent's outcome: {outcome}" for outcome in outcomes if outcome.agent != name)


def _decision_violations(
    name: str, outcomes: Sequence[Outcome], decisions: Sequence[Record]
) -> Iterator[str]:
    named = Counter(id_ for outcome in outcomes for id_ in outcome.decisions)
    made = Counter(str(record.json["id"]) for record in decisions)
    yield from (f"decision {id_} named {count} times" for id_, count in named.items() if count > 1)
    yield from (f"decision {id_} made {count} times" for id_, count in made.items() if count > 1)
    yield from (f"decision {id_} is named and not there" for id_ in named.keys() - made.keys())
    yield from (f"decision {id_} is there and not named" for id_ in made.keys() - named.keys())
    for record in decisions:
        decision = DecisionRecord.model_validate_json(record.value or b"")
        if decision.id != decision_id(name, _position(decision.event), decision.index):
            yield f"decision with another event's id: {decision}"


def _dead_letter_violations(
    outcomes: Sequence[Outcome], dead_letters: Sequence[Record], inputs: Mapping[Position, Record]
) -> Iterator[str]:
    """Each event that could not be decided is there once, raw; no change of the load is such an event."""
    dead = {Position(o.topic, o.partition, o.offset): o for o in outcomes if o.status == "dead_lettered"}
    letters = Counter(_origin(letter) for letter in dead_letters)
    yield from (f"no dead letter: {position}" for position in dead.keys() - letters.keys())
    yield from (f"a dead letter of a decided event: {position}" for position in letters.keys() - dead.keys())
    yield from (f"{count} dead letters: {position}" for position, count in letters.items() if count > 1)
    for position in dead.keys() & inputs.keys():
        if not inputs[position].injected:
            yield f"a change was not decided: {dead[position]}"
    for letter in dead_letters:
        event, outcome = inputs.get(_origin(letter)), dead.get(_origin(letter))
        if event and (letter.key, letter.value) != (event.key, event.value):
            yield f"a dead letter with other bytes than its event: {_origin(letter)}"
        if outcome and letter.headers["headrace.reason"].decode() != outcome.reason:
            yield f"a dead letter for another reason than its outcome's: {letter.headers}, {outcome}"


def _order_violations(what: str, records: Sequence[Record], event: Any) -> Iterator[str]:
    """Per key and input partition, in the order of the events."""
    last: dict[tuple[bytes | None, str, int], Position] = {}
    for record in records:
        position = event(record)
        place = (record.key, position.topic, position.partition)
        if place in last and position.offset < last[place].offset:
            yield f"{what} of key {record.key!r} out of order: {position} after {last[place]}"
        last[place] = position


def _memory_violations(
    outcomes: Sequence[Outcome], decisions: Sequence[Record], inputs: Mapping[Position, Record]
) -> Iterator[str]:
    """What the agent says it remembers is what a replay of the decided events remembers."""
    decided = {Position(o.topic, o.partition, o.offset) for o in outcomes if o.status == "decided"}
    said: dict[Position, list[dict[str, Any]]] = defaultdict(list)
    for record in decisions:
        said[_position(record.json["event"])].append(record.json)
    memories: dict[int, Remembered] = defaultdict(Remembered)
    for position in sorted(decided & inputs.keys()):
        event = inputs[position]
        if event.value is None:
            continue
        customer = json.loads(event.key or b"{}")["customer_id"]
        memories[customer].take(event.json)
        yield from (
            f"memory of customer {customer} at {position}: {wrong}"
            for wrong in memories[customer].contradictions(event.json, said[position])
        )


@dataclass
class Remembered:
    """What the support triage agent should remember of one customer."""

    seen: int = 0
    open: set[int] = field(default_factory=set)

    def take(self, event: Mapping[str, Any]) -> None:
        row = event["after"] or event["before"]
        if event["op"] in ("c", "r"):
            self.seen += 1
        if event["op"] == "d" or (event["op"] == "u" and row["status"] == "closed"):
            self.open.discard(row["id"])
        else:
            self.open.add(row["id"])

    def contradictions(self, event: Mapping[str, Any], said: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        triages = [each["decision"] for each in said if each["kind"] == "TriageDecision"]
        escalations = [each["decision"] for each in said if each["kind"] == "Escalation"]
        opened = event["op"] in ("c", "r")
        if len(triages) != opened or len(escalations) > opened:
            yield f"{len(triages)} triages, {len(escalations)} escalations of {event['op']}"
        for decision in [*triages, *escalations]:
            if (decision["ticket_id"], decision["tickets_seen"]) != (event["after"]["id"], self.seen):
                yield f"{decision}, not {self.seen} tickets seen"
        for escalation in escalations:
            if escalation["reason"] != f"{self.seen} tickets, {len(self.open)} of them open":
                yield f"{escalation}, not {len(self.open)} open"


def _book(plan: StackPlan, records: Mapping[str, Sequence[Record]]) -> Book:
    tables = {table.topic: table.name for source in plan.sources for table in source.tables}
    return Book(
        changes=[
            record
            for topic in tables
            for record in sorted(records[topic], key=lambda record: record.position)
        ],
        tables=tables,
        agents={
            agent.name: AgentBook(
                frozenset(given.topic for given in agent.spec.inputs),
                records[agent.spec.outputs.outcomes],
                records[agent.spec.outputs.decisions],
                records[agent.spec.outputs.dead_letters],
                replays=records[agent.spec.feedback.replays],
            )
            for agent in plan.agents
        },
    )


def _names(plan: StackPlan) -> list[str]:
    outputs = [agent.spec.outputs for agent in plan.agents]
    return [
        *(table.topic for source in plan.sources for table in source.tables),
        *(name for each in outputs for name in (each.outcomes, each.decisions, each.dead_letters)),
        *(agent.spec.feedback.replays for agent in plan.agents),
    ]


def _inserts(record: Record, ticket: int, tables: Mapping[str, str]) -> bool:
    if record.injected or tables[record.position.topic] != TICKETS:
        return False
    return bool(record.json["op"] == "c" and record.json["after"]["id"] == ticket)


def _unanswered(book: Book, agent: AgentBook) -> set[Position]:
    inputs = {record.position for record in book.changes if record.position.topic in agent.inputs}
    inputs |= {record.position for record in agent.replays}
    return inputs - _positions(agent.outcomes)


def _positions(outcomes: Iterable[Record]) -> set[Position]:
    return {_position(record.json) for record in outcomes}


def _position(event: Mapping[str, Any]) -> Position:
    return Position(event["topic"], event["partition"], event["offset"])


def _origin(letter: Record) -> Position:
    said = {name: letter.headers[f"headrace.{name}"].decode() for name in ("topic", "partition", "offset")}
    return Position(said["topic"], int(said["partition"]), int(said["offset"]))


def _read_at(message: Message) -> Position:
    return Position(str(message.topic()), message.partition() or 0, message.offset() or 0)


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


def _text(operation: str, row: Mapping[str, Any]) -> str:
    return f"{operation} {json.dumps(row, sort_keys=True)}"
