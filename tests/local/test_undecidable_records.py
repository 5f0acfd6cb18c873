"""What can't be decided is a dead letter with its raw bytes and its origin; the job goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Producer

from headrace_agents.records import Outcome, Position
from tests.pipeline.ledger import INJECTED, Record
from tests.pipeline.plugin import Pipeline

TOPIC = "support.public.tickets"
KEY = b'{"customer_id": 7}'
FIVE_MB = 5 * 1024 * 1024
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
FLUSH_TIMEOUT_S = 30


def envelope(table: str = "tickets", body: str = "") -> bytes:
    """A row's insert as Debezium writes it, as far as an agent reads it."""
    row = {"id": 1_000_000, "customer_id": 7, "subject": "", "body": body, "status": "open"}
    source = {"schema": "public", "table": table, "ts_ms": 0}
    return json.dumps({"before": None, "after": row, "source": source, "op": "c"}).encode()


UNDECIDABLE: Mapping[str, tuple[bytes | None, bytes | None, str]] = {
    "null value without a key": (None, None, "no_value"),
    "JSON null": (KEY, b"null", "no_value"),
    "malformed JSON": (KEY, b'{"op": "c", "after": {', "malformed"),
    "JSON that is no object": (KEY, b"[1, 2]", "malformed"),
    "bytes that are no text": (KEY, b"\xff\xfe\x00", "malformed"),
    "5 MB": (KEY, envelope(body="x" * FIVE_MB), "too_large"),
    "unknown table": (KEY, envelope(table="invoices"), "unknown_table"),
    "no key": (None, envelope(), "no_key"),
    "a key of another table": (b'{"id": 7}', envelope(), "no_key"),
}
"""What is wrong -> key, value, reason."""


def produced(
    bootstrap_servers: str, records: Mapping[str, tuple[bytes | None, bytes | None]]
) -> dict[str, Position]:
    """Put records onto the input topic, marked as a test's own; returns where they are."""
    where: dict[str, Position] = {}
    producer = Producer({"bootstrap.servers": bootstrap_servers, "message.max.bytes": MAX_MESSAGE_BYTES})
    for name, (key, value) in records.items():

        def delivered(error: object, message: Any, name: str = name) -> None:
            assert error is None, error
            where[name] = Position(message.topic(), message.partition(), message.offset())

        headers: list[tuple[str, str | bytes | None]] = [(INJECTED, name)]
        producer.produce(TOPIC, value=value, key=key, headers=headers, on_delivery=delivered)
    assert producer.flush(FLUSH_TIMEOUT_S) == 0
    return where


def restarts(pipeline: Pipeline, job: str) -> int:
    """When the job was last restarting, epoch milliseconds; 0 for never."""
    found = pipeline.stack.rest(pipeline.stack.flink.endpoint, f"/jobs/{job}")
    return int(found["timestamps"]["RESTARTING"])


def test_what_cannot_be_decided_is_a_dead_letter_and_the_job_goes_on(pipeline: Pipeline) -> None:
    jobs = pipeline.stack.job_ids()
    restarted = {job: restarts(pipeline, job) for job in jobs.values()}
    tombstone = {"tombstone": (KEY, None)}
    undecidable = {name: (key, value) for name, (key, value, _) in UNDECIDABLE.items()}
    where = produced(pipeline.stack.bootstrap_servers, tombstone | undecidable)
    later = pipeline.load.insert(40)
    book = pipeline.verify()

    for name, agent in book.agents.items():
        letters = {origin(letter): letter for letter in agent.dead_letters}
        for what, (key, value, reason) in UNDECIDABLE.items():
            letter = letters[where[what]]
            assert (letter.key, letter.value) == (key, value), what
            assert letter.headers["headrace.reason"].decode() == reason, what
            assert letter.headers["headrace.agent"].decode() == name, what
        outcomes = {Position(o.topic, o.partition, o.offset): o for o in map(outcome_of, agent.outcomes)}
        assert outcomes[where["tombstone"]].status == "decided"
        assert outcomes[where["tombstone"]].decisions == ()
    assert all(pipeline.ledger.has_decided(ticket) for ticket in later)
    assert pipeline.stack.job_ids() == jobs
    assert {job: restarts(pipeline, job) for job in jobs.values()} == restarted
    assert pipeline.stack.jobs_running()


def origin(letter: Record) -> Position:
    said = {name: letter.headers[f"headrace.{name}"].decode() for name in ("topic", "partition", "offset")}
    return Position(said["topic"], int(said["partition"]), int(said["offset"]))


def outcome_of(record: Record) -> Outcome:
    return Outcome.model_validate_json(record.value or b"")
