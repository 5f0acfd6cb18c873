"""Kafka topics: captured tables, heartbeats, agents' outputs, what is said to agents, journals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headrace.environment import names
from headrace.environment.duration import Duration
from headrace.environment.engines import ENGINES
from headrace.environment.model import MAX_EVENT_BYTES, Agent, Environment, Source
from headrace.environment.units import DAY_MS, MIB
from headrace.plan import binlog
from headrace.plan.because import Because, because, build, sequence, settings
from headrace.plan.model import TopicPlan
from headrace.plan.place import Place

OUTPUT_BYTES = MAX_EVENT_BYTES + MIB
"""A dead letter carries the raw record and headers beside it."""
LADDER = (4, 12, 24, 48, 120, 240)
"""Partition counts with many divisors, so that subtasks get equal shares."""
TABLE_PARTITIONS_MIN = 12
KEEP_DAYS, KEEP_DEAD_LETTERS_DAYS = 7, 30
KEEP_REPORTS_DAYS = 1
"""Exports of memories are among them."""
KEEP_SAID_DAYS = 2 * KEEP_DEAD_LETTERS_DAYS
"""What was replayed and answered: if it went before its dead letter or review, it could be done twice."""
JOURNAL_DAYS = 2
BUDGETS_DAYS = 2
KEEP_COSTS_DAYS = 100
KEEP_FOR_EVER = -1
HEARTBEAT_DAYS = 1
KEEP_TO_OUTAGE = 10

Setting = tuple[Any, str]


def topics(environment: Environment, place: Place) -> Because[tuple[TopicPlan, ...]]:
    """Every topic of the stack."""
    return sequence(_topics(environment, place))


def journal_partitions(agent: Agent) -> Because[int]:
    """Of the topic of finished steps; a shard's are all in one."""
    return _per_subtask(agent, "after a failure a subtask reads little of others")


def _topics(environment: Environment, place: Place) -> Iterator[Because[TopicPlan]]:
    for source in environment.sources:
        for table in source.tables:
            yield _table_topic(environment, place, source, names.table_topic(source.name, table.name))
        yield _heartbeat_topic(place, names.heartbeat_topic(source.name))
        if ENGINES[source.engine].has_binlog:
            yield _schema_history_topic(place, source)
        elif place.takes_signals.value:
            yield from _signal_topics(place, source)
    for agent in environment.agents:
        yield from _agent_topics(environment, place, agent)


def _agent_topics(environment: Environment, place: Place, agent: Agent) -> Iterator[Because[TopicPlan]]:
    name, outage = agent.name, environment.recovery.max_outage
    outputs = {
        names.decisions_topic(name): ("its decisions", KEEP_DAYS),
        names.outcomes_topic(name): ("one outcome per event", KEEP_DAYS),
        names.dead_letters_topic(name): ("events that can't be decided", KEEP_DEAD_LETTERS_DAYS),
        names.reviews_topic(name): ("questions to humans", KEEP_DEAD_LETTERS_DAYS),
        names.reports_topic(name): ("answers to commands", KEEP_REPORTS_DAYS),
        names.runs_topic(name): ("what runs did, step by step", KEEP_DAYS),
    }
    for topic, (what, days) in outputs.items():
        yield _topic(
            place,
            because(topic, f"the agent's name and what is in it: {what}"),
            _per_subtask(agent, "each transaction marks them all"),
            policy=("delete", "each record is counted: none of 2 with a key may go"),
            kept=(days * DAY_MS, f"{days} days, to look at what was decided and why"),
            largest=_output_bytes("an input record and headers, or a large one fails the job"),
        )
    said = {
        names.answers_topic(name): ("what humans answer", KEEP_SAID_DAYS, ": outlives what it is about"),
        names.replays_topic(name): (
            "dead letters to try again",
            KEEP_SAID_DAYS,
            ": outlives what it is about",
        ),
        names.control_topic(name): ("commands to its shards", KEEP_DAYS, ", as the captured tables"),
    }
    for topic, (what, days, why) in said.items():
        yield _topic(
            place,
            because(topic, f"the agent's name and what is in it: {what}"),
            because(1, "1: a few records, written by hand or command"),
            policy=("delete", "each record is an event: none of 2 with a key may go"),
            kept=_kept(days, outage, why),
            largest=_output_bytes("a dead letter and where it came from"),
        )
    yield _topic(
        place,
        because(names.journal_topic(name), "the agent's name and what is in it: finished steps"),
        journal_partitions(agent),
        policy=("delete", "steps of 1 run are read together: none replaces another"),
        kept=_kept(JOURNAL_DAYS, outage, ": longer than any run goes on"),
        largest=_output_bytes("a step's result may be as large as an event"),
    )
    yield _topic(
        place,
        because(names.budgets_topic(name), "the agent's name and what is in it: what is granted of budgets"),
        journal_partitions(agent),
        policy=("delete", "grants of 1 day are summed up: none replaces another"),
        kept=_kept(BUDGETS_DAYS, outage, ": a budget's day, and the one before"),
        largest=None,
    )
    yield _topic(
        place,
        because(names.settings_topic(name), "the agent's name and what is in it: settings that were set"),
        because(1, "1: a few records, written by command"),
        policy=("delete", "all versions are the history: none replaces another"),
        kept=(KEEP_FOR_EVER, "-1, for ever: shards take no version number a second time"),
        largest=None,
    )
    yield _topic(
        place,
        because(names.costs_topic(name), "the agent's name and what is in it: what was spent"),
        because(1, "1: small records of sums, read together, and only when someone asks"),
        policy=("compact,delete", "only the last sum of 1 key means anything"),
        kept=(KEEP_COSTS_DAYS * DAY_MS, f"{KEEP_COSTS_DAYS} days, to compare a quarter"),
        largest=None,
    )


def _table_topic(environment: Environment, place: Place, source: Source, topic: str) -> Because[TopicPlan]:
    readers = [agent for agent in environment.agents if topic in agent.inputs]
    most = max((agent.scaling.parallelism_max for agent in readers), default=1)
    return _topic(
        place,
        because(topic, f"as Debezium names it: source, {binlog.said_of(source.engine)}, table"),
        because(
            _step(max(most, TABLE_PARTITIONS_MIN)),
            f"at least {TABLE_PARTITIONS_MIN}, and no fewer than the {most} subtasks that may read it: "
            "a key keeps its order only while this number stays",
        ),
        policy=("delete", "1 record is 1 change: none may replace another"),
        kept=_kept(KEEP_DAYS, environment.recovery.max_outage, ", to read again after a mistake"),
        largest=(MAX_EVENT_BYTES, f"{MAX_EVENT_BYTES // MIB} MiB, the largest change captured"),
    )


def _heartbeat_topic(place: Place, topic: str) -> Because[TopicPlan]:
    return _topic(
        place,
        because(topic, "as Debezium names the heartbeats of 1 connector"),
        because(1, "1 small record every few seconds"),
        policy=("compact,delete", "only the last heartbeat of 1 key means anything"),
        kept=(HEARTBEAT_DAYS * DAY_MS, f"{HEARTBEAT_DAYS} day is more than anyone looks back"),
        largest=None,
    )


def _schema_history_topic(place: Place, source: Source) -> Because[TopicPlan]:
    return _topic(
        place,
        because(
            names.schema_history_topic(source.name),
            "the source's name and what is in it: how its tables looked",
        ),
        because(1, "1: Debezium reads partition 0, and the order counts"),
        policy=("delete", "each record is 1 change of a table: none may replace another"),
        kept=(KEEP_FOR_EVER, "-1, for ever: without the first record 0 rows of the binlog can be read"),
        largest=None,
    )


def _signal_topics(place: Place, source: Source) -> Iterator[Because[TopicPlan]]:
    kept = "-1, for ever: what has run is known by it, and runs 0 more times"
    for topic, what in {
        names.signals_topic(source.name): "what its connector is told",
        names.notifications_topic(source.name): "what its connector says of snapshots",
    }.items():
        yield _topic(
            place,
            because(topic, f"the source's name and what is in it: {what}"),
            because(1, "1: Debezium reads partition 0 of signals, and their order counts"),
            policy=("delete", "each record counts: none of 2 with a key may go"),
            kept=(KEEP_FOR_EVER, kept),
            largest=None,
        )


def _topic(
    place: Place,
    name: Because[str],
    partitions: Because[int],
    *,
    policy: Setting,
    kept: Setting,
    largest: Setting | None,
) -> Because[TopicPlan]:
    config = {
        "cleanup.policy": policy,
        "retention.ms": kept,
        **place.topic_settings,
        **({"max.message.bytes": largest} if largest else {}),
    }
    return build(
        TopicPlan, name=name, partitions=partitions, replication=place.replication, config=settings(config)
    )


def _kept(days: int, outage: Duration, why: str) -> Setting:
    return (
        max(days * DAY_MS, KEEP_TO_OUTAGE * outage.milliseconds),
        f"{days} days, at least {KEEP_TO_OUTAGE} x max_outage {outage}{why}",
    )


def _output_bytes(what: str) -> Setting:
    return OUTPUT_BYTES, f"{OUTPUT_BYTES // MIB} MiB, {MAX_EVENT_BYTES // MIB} of an event and 1 more: {what}"


def _per_subtask(agent: Agent, why: str) -> Because[int]:
    most = agent.scaling.parallelism_max
    return because(_step(most), f"the first of {LADDER} that is no less than parallelism_max {most}: {why}")


def _step(least: int) -> int:
    return next(step for step in LADDER if step >= least)
