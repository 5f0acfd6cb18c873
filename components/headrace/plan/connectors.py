"""Change capture: tables, replication slot, publication, and the Debezium connector's configuration.

What connectors of MySQL and MariaDB have of their own is in :mod:`headrace.plan.binlog`.
"""

from __future__ import annotations

from typing import Any

from headrace.environment import names
from headrace.environment.engines import ENGINES
from headrace.environment.model import MAX_EVENT_BYTES, Backfill, Environment, Source, Table
from headrace.environment.units import MIB
from headrace.plan import binlog, recovery
from headrace.plan.because import Because, because, build, mapping, merged, sequence, settings
from headrace.plan.kafka import CLIENT_REQUEST_BYTES, JSON_CONVERTER, PLAIN_JSON, SESSION_MS
from headrace.plan.model import (
    BackfillPlan,
    BinlogSourcePlan,
    ColumnPlan,
    PostgresqlSourcePlan,
    SourcePlan,
    TablePlan,
)
from headrace.plan.place import Place

CONNECTOR = "dev.headrace.debezium.PostgresConnector"
"""Over Debezium's: `headrace.toolchain.debezium_connector`."""
POLL_MS = 10
HEARTBEAT_MS = 5_000
RETRY_WAIT_MS = 2_000
QUEUE_BYTES = 32 * MIB
BATCH_EVENTS, BATCHES_AHEAD = 2048, 4
SIGNAL_POLL_MS = 1_000
CHUNK_ROWS = 256
"""Of a backfill; they are held in memory until the changes beside them were seen."""
MESSAGE_PREFIX = "headrace"
"""Prefix of the logical decoding messages that keep the slot moving; never sent to Kafka."""


def sources(environment: Environment, place: Place) -> Because[tuple[SourcePlan, ...]]:
    """One connector per source."""
    return sequence(
        _of_a_binlog(environment, source, place)
        if ENGINES[source.engine].has_binlog
        else _of_a_slot(environment, source, place)
        for source in environment.sources
    )


def _of_a_slot(environment: Environment, source: Source, place: Place) -> Because[SourcePlan]:
    slot = names.slot(environment.name, source.name)
    return build(
        PostgresqlSourcePlan,
        **_of_any_engine(environment, source),
        **_signalling(source, place),
        slot=because(slot, f"environment {environment.name} and source {source.name}, with _ for -"),
        publication=because(slot, "the same name as the slot's: 1 belongs to 1"),
        connector_config=merged(
            _any_where(environment, source, place),
            _slot_where(source, slot, place),
            _what(source),
            _old_rows(source),
            _records(),
            settings(
                {"interval.handling.mode": ("string", "ISO 8601 text: 1 month has no number of microseconds")}
            ),
            _speed(),
            _delivery(environment),
            _slot_delivery(environment),
            _heartbeats("off by default, and then quiet tables keep the server from removing WAL"),
            _slot_keeping(place),
            *([_signals(environment, source, place)] if place.takes_signals.value else []),
        ),
    )


def _of_a_binlog(environment: Environment, source: Source, place: Place) -> Because[SourcePlan]:
    return build(
        BinlogSourcePlan,
        **_of_any_engine(environment, source),
        server_id=binlog.server_id(environment, source),
        schema_history_topic=because(
            names.schema_history_topic(source.name), "1 for the source: how its tables looked"
        ),
        schema_history_group=because(
            names.schema_history_group(environment.name, source.name),
            "1 for the source: who reads that topic",
        ),
        connector_config=merged(
            _any_where(environment, source, place),
            binlog.where(environment, source),
            _what(source),
            binlog.rows(),
            _records(),
            _speed(),
            _delivery(environment),
            _heartbeats("off by default, and then quiet tables leave the stored place in a log that goes"),
            binlog.history(environment, source, place),
        ),
    )


def _of_any_engine(environment: Environment, source: Source) -> dict[str, Because[Any]]:
    return {
        "name": because(source.name, "declared"),
        "engine": because(source.engine, "declared"),
        "database": because(source.database, "declared"),
        "tables": sequence(_table(source, table) for table in source.tables),
        "connector": because(
            names.connector(environment.name, source.name),
            f"environment {environment.name} and source {source.name}: 1 connector per source",
        ),
    }


def _table(source: Source, table: Table) -> Because[TablePlan]:
    beyond = [column for column in table.message_key if column not in table.primary_key]
    declared = "declared"
    return build(
        TablePlan,
        name=because(table.name, declared),
        columns=sequence(
            build(ColumnPlan, name=because(column, declared), type=because(kind, declared))
            for column, kind in table.columns.items()
        )
        if table.columns
        else because((), "0 columns are listed: the table has to exist"),
        primary_key=because(table.primary_key, declared),
        key=because(table.message_key, declared if table.key else "0 columns are declared: the primary key"),
        replica_identity=_replica_identity(beyond)
        if not ENGINES[source.engine].has_binlog
        else because(None, "0 in this engine: its binlog has whole rows, with binlog_row_image FULL"),
        topic=because(
            names.table_topic(source.name, table.name),
            f"as Debezium names it: source, {binlog.said_of(source.engine)}, table",
        ),
    )


def _replica_identity(beyond: list[str]) -> Because[str]:
    return because(
        "full" if beyond else "default",
        (
            f"{', '.join(beyond)} of the record's key is not in the primary key, "
            "and a delete logs no other column"
        )
        if beyond
        else "the record's key is within the primary key, which a delete logs",
    )


def _signalling(source: Source, place: Place) -> dict[str, Because[Any]]:
    none: Because[None] = because(None, place.takes_signals.reasons[""])
    topics = {
        "signals_topic": because(names.signals_topic(source.name), "1 for the source: what it is told"),
        "notifications_topic": because(
            names.notifications_topic(source.name), "1 for the source: what it says of snapshots"
        ),
    }
    return {
        **(topics if place.takes_signals.value else dict.fromkeys(topics, none)),
        "backfills": sequence(_backfill(backfill) for backfill in source.backfills)
        if source.backfills
        else because((), "0 are declared"),
    }


def _backfill(backfill: Backfill) -> Because[BackfillPlan]:
    return build(
        BackfillPlan,
        id=because(backfill.id, "declared"),
        tables=because(backfill.tables, "declared"),
        where=mapping(
            {table: because(condition, "declared") for table, condition in backfill.where.items()},
            "0 conditions are declared: all rows",
        ),
    )


def _any_where(environment: Environment, source: Source, place: Place) -> Because[dict[str, str]]:
    has_binlog = ENGINES[source.engine].has_binlog
    return settings(
        {
            "connector.class": (
                binlog.CONNECTORS[source.engine] if has_binlog else CONNECTOR,
                (
                    f"the source's engine is {source.engine}; over Debezium's own, which can lose 1 of the "
                    "2 records of a changed key"
                ),
            ),
            "tasks.max": (1, f"a {'binlog' if has_binlog else 'replication slot'} has 1 reader"),
            **place.database[source.engine],
            "database.user": (
                names.role(environment.name, source.name),
                "the source's own user: 1 belongs to 1"
                if has_binlog
                else "the source's own role has its slot's name: 1 belongs to 1",
            ),
            "topic.prefix": (source.name, "the source's name starts its topics' names"),
        }
    )


def _slot_where(source: Source, slot: str, place: Place) -> Because[dict[str, str]]:
    return settings(
        {
            "database.dbname": (source.database, "declared"),
            "database.tcpKeepAlive": (True, "a connection that died is noticed, not waited for"),
            "plugin.name": (
                "pgoutput",
                "built into PostgreSQL; Debezium's default, decoderbufs, is an extension",
            ),
            "slot.name": (slot, "the source's slot"),
            "publication.name": (slot, "the source's publication"),
            "publication.autocreate.mode": place.publication,
        }
    )


def _what(source: Source) -> Because[dict[str, str]]:
    return settings(
        {
            "table.include.list": (
                ",".join(_exactly(table) for table in source.tables),
                (
                    f"the {len(source.tables)} declared tables; each name is a pattern to "
                    "Debezium, so dots are escaped"
                ),
            ),
            "message.key.columns": (
                ";".join(f"{_exactly(table)}:{','.join(table.message_key)}" for table in source.tables),
                "the declared key of each table: a key's changes stay in 1 partition, in order",
            ),
            "snapshot.mode": ("initial", "rows that are there come first, once; then changes"),
            "skipped.operations": ("t", "a truncate has 0 keys, so there is no agent to decide on it"),
        }
    )


def _old_rows(source: Source) -> Because[dict[str, str]]:
    full = [table for table in source.tables if not set(table.message_key) <= set(table.primary_key)]
    if not full:
        return merged()
    return settings(
        {
            "replica.identity.autoset.values": (
                ",".join(f"{_exactly(table)}:FULL" for table in full),
                (
                    f"{len(full)} tables whose record key is not in the primary key: "
                    "without the old row a delete has no key"
                ),
            )
        }
    )


def _records() -> Because[dict[str, str]]:
    return settings(
        {
            "key.converter": (JSON_CONVERTER, PLAIN_JSON),
            "key.converter.schemas.enable": (False, PLAIN_JSON),
            "value.converter": (JSON_CONVERTER, PLAIN_JSON),
            "value.converter.schemas.enable": (False, PLAIN_JSON),
            "tombstones.on.delete": (False, "the topics are not compacted, and a delete is 1 record, not 2"),
            "decimal.handling.mode": ("string", "exact: a binary number can't hold 0.1"),
            "time.precision.mode": (
                "isostring",
                "text that says its unit, as records carry no schema: 1 form for all",
            ),
            "binary.handling.mode": ("base64", "bytes have 1 usual form in JSON"),
        }
    )


def _speed() -> Because[dict[str, str]]:
    return settings(
        {
            "poll.interval.ms": (POLL_MS, f"a change waits {POLL_MS} ms at most; Debezium's default is 500"),
            "max.batch.size": (BATCH_EVENTS, f"{BATCH_EVENTS} changes in 1 transaction of Kafka at most"),
            "max.queue.size": (
                BATCHES_AHEAD * BATCH_EVENTS,
                f"{BATCHES_AHEAD} batches of {BATCH_EVENTS} read ahead",
            ),
            "max.queue.size.in.bytes": (
                QUEUE_BYTES,
                (
                    f"{QUEUE_BYTES // MIB} MiB: a queue of changes of {MAX_EVENT_BYTES // MIB} MiB each "
                    "would not fit the heap"
                ),
            ),
            "producer.override.max.request.size": (
                CLIENT_REQUEST_BYTES,
                (
                    f"{CLIENT_REQUEST_BYTES // MIB} MiB; the topic decides what is too "
                    f"large, at {MAX_EVENT_BYTES // MIB} MiB"
                ),
            ),
            "producer.override.linger.ms": (0, "0 ms: a change is sent when it is read"),
        }
    )


def _delivery(environment: Environment) -> Because[dict[str, str]]:
    goal = environment.recovery
    retry_ms = recovery.retry_ms(goal)
    long_enough = recovery.outage_text(goal)
    return settings(
        {
            "exactly.once.support": ("required", "1 change is 1 record, or the connector does not start"),
            "transaction.boundary": ("poll", "each of Debezium's batches is 1 transaction, so nothing waits"),
            "producer.override.delivery.timeout.ms": (
                retry_ms,
                f"{long_enough}: a broker that is away makes the task wait, not fail",
            ),
            "producer.override.transaction.timeout.ms": (
                SESSION_MS,
                (
                    f"{SESSION_MS} ms, as a killed worker's session: the next worker reads its offsets no "
                    "further than an open transaction, and a task whose own was aborted starts again"
                ),
            ),
            "errors.max.retries": (
                -(-retry_ms // RETRY_WAIT_MS),
                f"{long_enough}, in steps of {RETRY_WAIT_MS} ms: then the task fails, where it can be seen",
            ),
            "retriable.restart.connector.wait.ms": (
                RETRY_WAIT_MS,
                f"{RETRY_WAIT_MS} ms, as a restarted database is back in seconds; the default is 10000",
            ),
        }
    )


def _slot_delivery(environment: Environment) -> Because[dict[str, str]]:
    retry_ms = recovery.retry_ms(environment.recovery)
    long_enough = recovery.outage_text(environment.recovery)
    return settings(
        {
            "slot.max.retries": (
                -(-retry_ms // RETRY_WAIT_MS),
                f"{long_enough}, in steps of {RETRY_WAIT_MS} ms: the slot may be held by a dead connection",
            ),
            "slot.retry.delay.ms": (RETRY_WAIT_MS, f"{RETRY_WAIT_MS} ms, as for the connector"),
            "offset.mismatch.strategy": (
                "trust_offset",
                (
                    "a slot ahead of the stored offset fails the task: with the default "
                    "the changes between the 2 are "
                    "skipped in silence"
                ),
            ),
        }
    )


def _heartbeats(without: str) -> Because[dict[str, str]]:
    return settings({"heartbeat.interval.ms": (HEARTBEAT_MS, f"{HEARTBEAT_MS} ms; {without}")})


def _slot_keeping(place: Place) -> Because[dict[str, str]]:
    return settings(
        {
            "heartbeat.action.query": (
                f"SELECT pg_logical_emit_message(true, '{MESSAGE_PREFIX}', 'heartbeat')",
                "something to confirm when the captured tables are quiet; needs 0 tables in the source",
            ),
            "message.prefix.exclude.list": (
                MESSAGE_PREFIX,
                "those messages move the slot and are 0 records in Kafka",
            ),
            "lsn.flush.mode": (
                "connector",
                "the slot never passes what Kafka has; keepalives of the driver could",
            ),
            "slot.drop.on.stop": (False, "changes made while the connector is stopped are kept: 0 lost"),
            "slot.failover": place.slot_failover,
        }
    )


def _signals(environment: Environment, source: Source, place: Place) -> Because[dict[str, str]]:
    return settings(
        {
            "signal.enabled.channels": ("kafka", "1 topic tells the connector; the default is 1 table"),
            "signal.kafka.topic": (names.signals_topic(source.name), "the source's own, 1 to 1"),
            "signal.kafka.bootstrap.servers": (place.brokers.value, place.brokers.reasons[""]),
            "signal.kafka.groupId": (
                names.signals_group(environment.name, source.name),
                "the source's own: in the default group the offset of 1 connector would be another's",
            ),
            "signal.poll.interval.ms": (
                SIGNAL_POLL_MS,
                f"{SIGNAL_POLL_MS} ms until a pause is heard; the default is 5000",
            ),
            "read.only": (True, "0 tables for signals in the source: PostgreSQL 13 has snapshots' bounds"),
            "incremental.snapshot.chunk.size": (
                CHUNK_ROWS,
                f"{CHUNK_ROWS} rows are read between 2 live changes: some milliseconds; the default is 1024",
            ),
            "notification.enabled.channels": (
                "sink",
                "progress goes to 1 topic, in the changes' transactions",
            ),
            "notification.sink.topic.name": (
                names.notifications_topic(source.name),
                "the source's own, 1 to 1",
            ),
        }
    )


def _exactly(table: Table) -> str:
    """The pattern that matches this table's name and no other."""
    return table.name.replace(".", r"\.")
