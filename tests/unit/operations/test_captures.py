"""Why a connector failed, from what Kafka Connect says of it."""

from __future__ import annotations

from typing import Any

from headrace.operations.captures import failures

TRACE = """org.apache.kafka.connect.errors.ConnectException: An exception occurred in the producer.
\tat io.debezium.pipeline.ErrorHandler.setProducerThrowable(ErrorHandler.java:67)
Caused by: io.debezium.DebeziumException: Failed to start replication stream
\tat io.debezium.connector.postgresql.Something
Caused by: org.postgresql.util.PSQLException: ERROR: cannot read from logical replication slot "books"
\t... 9 more
"""


def status(**task: str) -> dict[str, Any]:
    return {"connector": {"state": "RUNNING"}, "tasks": [{"state": "FAILED", **task}]}


def test_the_last_cause_is_told() -> None:
    (found,) = failures(status(trace=TRACE))
    assert found.startswith("org.postgresql.util.PSQLException: ERROR: cannot read from logical")


def test_a_trace_without_a_cause_is_told_by_its_first_line() -> None:
    assert failures(status(trace="java.lang.IllegalStateException: no\n\tat x")) == [
        "java.lang.IllegalStateException: no"
    ]


def test_what_runs_or_is_not_there_has_no_failure() -> None:
    assert failures(status()) == []
    assert failures(None) == []
