"""Kafka topics: captured tables, heartbeats, agents' outputs."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.environment import names
from headrace.environment.model import MAX_EVENT_BYTES, Agent, Environment, Source
from headrace.plan.because import Because, because, build, sequence, settings
from headrace.plan.model import TopicPlan

MIB = 1024 * 1024
OUTPUT_BYTES = MAX_EVENT_BYTES + MIB
"""A dead letter carries the raw record and headers beside it."""
LADDER = (4, 12, 24, 48, 120, 240)
"""Partition counts with many divisors, so that subtasks get equal shares."""
TABLE_PARTITIONS_MIN = 12
DAY_MS = 24 * 3_600_000
KEEP_DAYS, KEEP_DEAD_LETTERS_DAYS = 7, 30
KEEP_REPORTS_DAYS = 1
"""Exports of memories are among them."""
KEEP_SAID_DAYS = 2 * KEEP_DEAD_LETTERS_DAYS
"""What was replayed and answered: if it went before its dead letter or review, it could be done twice."""
JOURNAL_DAYS = 2
SEGMENT_BYTES = 64 * MIB


def topics(environment: Environment) -> Because[tuple[TopicPlan, ...]]:
    """Every topic of the stack."""
    return sequence(_topics(environment))


def _topics(environment: Environment) -> Iterator[Because[TopicPlan]]:
    for source in environment.sources:
        for table in source.tables:
            yield _table_topic(environment, names.table_topic(source.name, table.name))
        yield _heartbeat_topic(source)
    for agent in environment.agents:
        yield from _agent_topics(environment, agent)


def _agent_topics(environment: Environment, agent: Agent) -> Iterator[Because[TopicPlan]]:
    name = agent.name
    yield _output_topic(agent, names.decisions_topic(name), "its decisions", KEEP_DAYS)
    yield _output_topic(agent, names.outcomes_topic(name), "one outcome per event", KEEP_DAYS)
    yield _output_topic(
        agent, names.dead_letters_topic(name), "events that can't be decided", KEEP_DEAD_LETTERS_DAYS
    )
    yield _output_topic(agent, names.reviews_topic(name), "questions to humans", KEEP_DEAD_LETTERS_DAYS)
    yield _output_topic(agent, names.reports_topic(name), "answers to commands", KEEP_REPORTS_DAYS)
    yield _feedback_topic(environment, names.answers_topic(name), "what humans answer", KEEP_SAID_DAYS)
    yield _feedback_topic(environment, names.replays_topic(name), "dead letters to try again", KEEP_SAID_DAYS)
    yield _feedback_topic(environment, names.control_topic(name), "commands to its shards", KEEP_DAYS)
    yield _journal_topic(environment, agent)


def journal_partitions(agent: Agent) -> Because[int]:
    """Of the topic of finished steps; a shard's are all in one."""
    most = agent.scaling.parallelism_max
    return because(
        next(step for step in LADDER if step >= most),
        f"the first of {LADDER} that is no less than parallelism_max {most}: "
        "after a failure a subtask reads little of others",
    )


def _feedback_topic(environment: Environment, topic: str, what: str, days: int) -> Because[TopicPlan]:
    outage = environment.recovery.max_outage
    return build(
        TopicPlan,
        name=because(topic, f"the agent's name and what is in it: {what}"),
        partitions=because(1, "1: a few records, written by hand or command"),
        replication=_replication(),
        config=settings(
            {
                "cleanup.policy": ("delete", "each record is an event: none of 2 with a key may go"),
                "retention.ms": (
                    max(days * DAY_MS, 10 * outage.milliseconds),
                    f"{days} days, at least 10 x max_outage {outage}"
                    + (", as the captured tables" if days == KEEP_DAYS else ": outlives what it is about"),
                ),
                "segment.bytes": _segment(),
                "max.message.bytes": (
                    OUTPUT_BYTES,
                    f"{OUTPUT_BYTES // MIB} MiB: a dead letter and where it came from",
                ),
            }
        ),
    )


def _journal_topic(environment: Environment, agent: Agent) -> Because[TopicPlan]:
    outage = environment.recovery.max_outage
    return build(
        TopicPlan,
        name=because(names.journal_topic(agent.name), "the agent's name and what is in it: finished steps"),
        partitions=journal_partitions(agent),
        replication=_replication(),
        config=settings(
            {
                "cleanup.policy": ("delete", "steps of 1 run are read together: none replaces another"),
                "retention.ms": (
                    max(JOURNAL_DAYS * DAY_MS, 10 * outage.milliseconds),
                    f"{JOURNAL_DAYS} days, at least 10 x max_outage {outage}: longer than any run goes on",
                ),
                "segment.bytes": _segment(),
                "max.message.bytes": (
                    OUTPUT_BYTES,
                    f"{OUTPUT_BYTES // MIB} MiB: a step's result may be as large as an event",
                ),
            }
        ),
    )


def _table_topic(environment: Environment, topic: str) -> Because[TopicPlan]:
    readers = [agent for agent in environment.agents if topic in agent.inputs]
    most = max((agent.scaling.parallelism_max for agent in readers), default=1)
    outage = environment.recovery.max_outage
    return build(
        TopicPlan,
        name=because(topic, "as Debezium names it: source, schema, table"),
        partitions=because(
            next(step for step in LADDER if step >= max(most, TABLE_PARTITIONS_MIN)),
            f"at least {TABLE_PARTITIONS_MIN}, and no fewer than the {most} subtasks that may read it: "
            "a key keeps its order only while this number stays",
        ),
        replication=_replication(),
        config=settings(
            {
                "cleanup.policy": ("delete", "1 record is 1 change: none may replace another"),
                "retention.ms": (
                    max(KEEP_DAYS * DAY_MS, 10 * outage.milliseconds),
                    f"{KEEP_DAYS} days, at least 10 x max_outage {outage}, to read again after a mistake",
                ),
                "segment.bytes": _segment(),
                "max.message.bytes": (
                    MAX_EVENT_BYTES,
                    f"{MAX_EVENT_BYTES // MIB} MiB, the largest change captured",
                ),
            }
        ),
    )


def _heartbeat_topic(source: Source) -> Because[TopicPlan]:
    return build(
        TopicPlan,
        name=because(names.heartbeat_topic(source.name), "as Debezium names the heartbeats of 1 connector"),
        partitions=because(1, "1 small record every few seconds"),
        replication=_replication(),
        config=settings(
            {
                "cleanup.policy": ("compact,delete", "only the last heartbeat of 1 key means anything"),
                "retention.ms": (DAY_MS, "1 day is more than anyone looks back"),
                "segment.bytes": _segment(),
            }
        ),
    )


def _output_topic(agent: Agent, topic: str, what: str, days: int) -> Because[TopicPlan]:
    most = agent.scaling.parallelism_max
    return build(
        TopicPlan,
        name=because(topic, f"the agent's name and what is in it: {what}"),
        partitions=because(
            next(step for step in LADDER if step >= most),
            (
                f"the first of {LADDER} that is no less than parallelism_max {most}: "
                "each transaction marks them all"
            ),
        ),
        replication=_replication(),
        config=settings(
            {
                "cleanup.policy": ("delete", "each record is counted: none of 2 with a key may go"),
                "retention.ms": (days * DAY_MS, f"{days} days, to look at what was decided and why"),
                "segment.bytes": _segment(),
                "max.message.bytes": (
                    OUTPUT_BYTES,
                    (
                        f"{MAX_EVENT_BYTES // MIB} MiB of an input record and 1 MiB for "
                        "headers, or a large one fails the job"
                    ),
                ),
            }
        ),
    )


def _replication() -> Because[int]:
    return because(1, "the local broker is 1 process")


def _segment() -> tuple[int, str]:
    return (
        SEGMENT_BYTES,
        f"{SEGMENT_BYTES // MIB} MiB, so that retention frees a laptop's disk in small steps",
    )
