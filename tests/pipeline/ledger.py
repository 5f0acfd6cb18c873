"""The ledger: every change, what became of it, and every way in which that can be wrong.

Read from Kafka as a consumer with ``read_committed`` reads it. :func:`violations` is pure and says what
does not add up, each with its record.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from headrace.local.topics import OUTAGES
from headrace.plan.model import AgentPlan, StackPlan
from headrace_agents.records import (
    DecisionRecord,
    InputRecord,
    Outcome,
    Position,
    Reason,
    decision_id,
    decode_replay,
    is_reminder,
    reminder_position,
)
from tests.pipeline.injection import INJECTED
from tests.pipeline.load import TICKETS, Change
from tests.pipeline.replays import REPLAYS, Replay
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

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
    """Topics of captured tables it reads."""
    outcomes: Sequence[Record]
    decisions: Sequence[Record]
    dead_letters: Sequence[Record]
    reviews: Sequence[Record] = ()
    answers: Sequence[Record] = ()
    replays: Sequence[Record] = ()
    entry_point: str = ""
    key: tuple[str, ...] = ()
    """Fields of the business key."""

    def key_of(self, event: Record) -> tuple[Any, ...]:
        """The business key; of a decided event, which has one, or none was needed."""
        fields = json.loads(event.key or b"{}")
        return tuple(fields.get(name) for name in self.key)


@dataclass(frozen=True)
class Book:
    """Everything that is in the topics of a stack."""

    changes: Sequence[Record]
    """Of every captured table, by topic, partition and offset."""
    tables: Mapping[str, str]
    """Topic -> table."""
    agents: Mapping[str, AgentBook]

    def inputs(self, agent: AgentBook) -> dict[Position, Record]:
        """Every Kafka record that the agent has to have an outcome for."""
        changes = (record for record in self.changes if record.position.topic in agent.inputs)
        return {record.position: record for record in (*changes, *agent.answers, *agent.replays)}


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
        """Whether every agent that reads tickets has an outcome for the insert of that ticket."""
        book = self.book()
        inserted = {r.position for r in book.changes if _inserts(r, ticket, book.tables)}
        topics = {topic for topic, table in book.tables.items() if table == TICKETS}
        agents = [agent for agent in book.agents.values() if topics & agent.inputs]
        return bool(inserted) and all(inserted <= _positions(agent.outcomes) for agent in agents)

    def has_outcomes(self, positions: Collection[Position]) -> bool:
        """Whether every agent that reads their topic has an outcome for each of these records."""
        agents = self.book().agents.values()
        wanted = [({p for p in positions if p.topic in agent.inputs}, agent) for agent in agents]
        return all(given <= _positions(agent.outcomes) for given, agent in wanted)

    def settle(self, committed: Sequence[Change], timeout_s: float) -> None:
        """Wait until each change is captured and every record that an agent reads has an outcome from it."""

        def settled() -> bool:
            book = self.book()
            captured = sum(not record.injected for record in book.changes)
            return captured >= len(committed) and not any(
                _unanswered(book, agent) or _reminders_to_come(name, book, agent)
                for name, agent in book.agents.items()
            )

        until("every change captured and decided", settled, timeout_s, lambda: self._counts(committed))

    def verify(
        self, committed: Sequence[Change], timeout_s: float, may_fail: Collection[Reason] = ()
    ) -> Book:
        """Settle, let what may be too much come too, and hold that nothing is wrong.

        A change may be a dead letter for one of the reasons in ``may_fail``.
        """
        self.settle(committed, timeout_s)
        # What is emitted becomes visible with a checkpoint: two more, and a repetition would be here.
        seen = {agent: self._stack.checkpoints_completed(agent) for agent in self._stack.agents}
        until(
            "two more checkpoints of each agent",
            lambda: all(self._stack.checkpoints_completed(a) >= n + 2 for a, n in seen.items()),
            timeout_s,
        )
        book = self.read()
        found = violations(book, committed, may_fail)
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


def violations(book: Book, committed: Sequence[Change], may_fail: Collection[Reason] = ()) -> list[str]:
    """What does not add up; nothing where every change has exactly one right outcome from every agent."""
    return [
        *_capture_violations(book, committed),
        *(
            f"{name}: {violation}"
            for name, agent in book.agents.items()
            for violation in _agent_violations(name, agent, book, may_fail)
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


def _agent_violations(name: str, agent: AgentBook, book: Book, may_fail: Collection[Reason]) -> Iterator[str]:
    inputs = book.inputs(agent)
    outcomes = [Outcome.model_validate_json(record.value or b"") for record in agent.outcomes]
    memories = Memories(name, agent, inputs)
    yield from memories.contradictions(outcomes)
    yield from _outcome_violations(name, outcomes, inputs.keys() | memories.reminders, memories.erasable)
    yield from _decision_violations(name, outcomes, agent.decisions)
    yield from _dead_letter_violations(outcomes, agent, inputs, may_fail)
    yield from _order_violations("outcomes", agent.outcomes, lambda r: _position(r.json))
    yield from _order_violations("decisions", agent.decisions, lambda r: _position(r.json["event"]))
    yield from _review_violations(agent)


def _outcome_violations(
    name: str, outcomes: Sequence[Outcome], wanted: Collection[Position], possible: Collection[Position]
) -> Iterator[str]:
    """``possible`` are events that need not have come to be."""
    counts = Counter(_of(outcome) for outcome in outcomes)
    missing = set(wanted) - counts.keys()
    yield from (f"no outcome: {position}" for position in sorted(missing))
    unknown = counts.keys() - set(wanted) - set(possible)
    yield from (f"an outcome of nothing: {position}" for position in sorted(unknown))
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
    outcomes: Sequence[Outcome],
    agent: AgentBook,
    inputs: Mapping[Position, Record],
    may_fail: Collection[Reason],
) -> Iterator[str]:
    """Each event that could not be decided is there once, raw; no change of the load is such an event."""
    dead = {_of(outcome): outcome for outcome in outcomes if outcome.status == "dead_lettered"}
    letters = Counter(_origin(letter) for letter in agent.dead_letters)
    yield from (f"no dead letter: {position}" for position in dead.keys() - letters.keys())
    yield from (f"a dead letter of a decided event: {position}" for position in letters.keys() - dead.keys())
    yield from (f"{count} dead letters: {position}" for position, count in letters.items() if count > 1)
    for position in dead.keys() & inputs.keys():
        is_change = position.topic in agent.inputs and not inputs[position].injected
        if is_change and dead[position].reason not in may_fail:
            yield f"a change was not decided: {dead[position]}"
    for letter in agent.dead_letters:
        event, outcome = inputs.get(_origin(letter)), dead.get(_origin(letter))
        if (
            event
            and event.position.topic in agent.inputs
            and (letter.key, letter.value) != (event.key, event.value)
        ):
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


class Memories:
    """What an agent remembers of each key, replayed from what it decided, in the order of its outcomes."""

    def __init__(self, name: str, agent: AgentBook, inputs: Mapping[Position, Record]) -> None:
        self.reminders: set[Position] = set()
        """Events that come beside the inputs."""
        self.erasable: set[Position] = set()
        """Those of keys that were erased: they need not come."""
        self._name = name
        self._agent = agent
        self._inputs = inputs
        self._replays: dict[tuple[Any, ...], Replay] = {}
        self._said: dict[Position, list[dict[str, Any]]] = defaultdict(list)
        for record in agent.decisions:
            self._said[_position(record.json["event"])].append(record.json)

    def contradictions(self, outcomes: Sequence[Outcome]) -> Iterator[str]:
        """Of what the agent says it remembers; all outcomes at once."""
        made = REPLAYS.get(self._agent.entry_point)
        if made is None:
            return
        erased = {self._key(outcome) for outcome in outcomes if outcome.status == "erased"}
        for outcome in outcomes:
            key = self._key(outcome) if outcome.status == "decided" else None
            if key is not None:
                replay = self._replays.setdefault(key, made())
                for wrong in self._take(outcome, replay, is_erased=key in erased):
                    yield f"memory of {key} at {_of(outcome)}: {wrong}"

    def _take(self, outcome: Outcome, replay: Replay, *, is_erased: bool) -> Iterator[str]:
        if is_reminder(_of(outcome)):
            yield from replay.reminded(self._said[_of(outcome)])
            return
        event = self._inputs[_of(outcome)]
        if event.position.topic in {record.position.topic for record in self._agent.replays[:1]}:
            origin = decode_replay(InputRecord(event.position, 0, event.key, event.value))
            event = Record(origin.position, 0, event.key, origin.value, {})
        if event.value is None or event in self._agent.answers:
            return
        count = replay.take(event.json)
        set_ = {reminder_position(self._name, event.position, index) for index in range(count)}
        (self.erasable if is_erased else self.reminders).update(set_)
        yield from replay.contradictions(event.json, self._said[event.position])

    def _key(self, outcome: Outcome) -> tuple[Any, ...] | None:
        """None for an outcome of nothing."""
        position = outcome.origin.position if outcome.origin and is_reminder(_of(outcome)) else _of(outcome)
        event = self._inputs.get(position)
        return None if event is None else self._agent.key_of(event)


def _review_violations(agent: AgentBook) -> Iterator[str]:
    """Of support triage: the first escalation of a customer asks a human, others may, nothing else does."""
    if agent.entry_point != "support_triage.agent:SupportTriage":
        return
    escalations = [record for record in agent.decisions if record.json["kind"] == "Escalation"]
    asked = Counter(_position(record.json["event"]) for record in agent.reviews)
    yield from (f"{count} questions at {position}" for position, count in asked.items() if count > 1)
    events = {_position(record.json["event"]) for record in escalations}
    yield from (f"a question without an escalation at {position}" for position in asked.keys() - events)
    unasked = {record.key for record in escalations} - {record.key for record in agent.reviews}
    yield from (f"escalated, and nobody was asked: {key!r}" for key in unasked)


def _book(plan: StackPlan, records: Mapping[str, Sequence[Record]]) -> Book:
    tables = {table.topic: table.name for source in plan.sources for table in source.tables}
    return Book(
        changes=[
            record
            for topic in tables
            for record in sorted(records[topic], key=lambda record: record.position)
        ],
        tables=tables,
        agents={agent.name: _agent_book(agent, records) for agent in plan.agents},
    )


def _agent_book(agent: AgentPlan, records: Mapping[str, Sequence[Record]]) -> AgentBook:
    spec = agent.spec
    return AgentBook(
        frozenset(given.topic for given in spec.inputs),
        records[spec.outputs.outcomes],
        records[spec.outputs.decisions],
        records[spec.outputs.dead_letters],
        records[spec.outputs.reviews],
        records[spec.feedback.answers],
        records[spec.feedback.replays],
        spec.entry_point,
        spec.key,
    )


def _names(plan: StackPlan) -> list[str]:
    return [
        *(table.topic for source in plan.sources for table in source.tables),
        *(name for agent in plan.agents for name in _topics_of(agent)),
    ]


def _topics_of(agent: AgentPlan) -> tuple[str, ...]:
    outputs, feedback = agent.spec.outputs, agent.spec.feedback
    put_out = outputs.outcomes, outputs.decisions, outputs.dead_letters, outputs.reviews
    return *put_out, feedback.answers, feedback.replays


def _inserts(record: Record, ticket: int, tables: Mapping[str, str]) -> bool:
    if record.injected or tables[record.position.topic] != TICKETS:
        return False
    return bool(record.json["op"] == "c" and record.json["after"]["id"] == ticket)


def _unanswered(book: Book, agent: AgentBook) -> set[Position]:
    return book.inputs(agent).keys() - _positions(agent.outcomes)


def _reminders_to_come(name: str, book: Book, agent: AgentBook) -> set[Position]:
    memories = Memories(name, agent, book.inputs(agent))
    for _ in memories.contradictions([Outcome.model_validate_json(r.value or b"") for r in agent.outcomes]):
        pass  # what is wrong is for who verifies
    return memories.reminders - _positions(agent.outcomes)


def _of(outcome: Outcome) -> Position:
    return outcome.position


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
