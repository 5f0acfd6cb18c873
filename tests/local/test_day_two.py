"""Commands on a running stack: paused, drained, looked into, erased, replayed; every event is counted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from headrace.local.context import HOST
from headrace.local.objects import objects
from headrace.local.snapshots import erasure_folder
from headrace_agents.records import Position
from tests.pipeline.injection import INJECTED
from tests.pipeline.plugin import Pipeline
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

AGENT, OTHER = "support-triage", "support-triage-vip"
TOPIC = "support.public.tickets"
CUSTOMER = 7_770_777
"""Of no ticket but this file's; its digits are in no state by chance."""
ASKED_ABOUT = CUSTOMER + 1
STILL_S = 6
"""Several checkpoints, and far longer than a decision takes."""
TIMEOUT_S = 120


@pytest.fixture(autouse=True)
def resumed(pipeline: Pipeline) -> Iterator[None]:
    """Whatever a test ends with, the next one finds the agent at work."""
    yield
    pipeline.stack.run("agents", "resume", AGENT)


def decided(pipeline: Pipeline, agent: str) -> set[Position]:
    outcomes = pipeline.ledger.book().agents[agent].outcomes
    return {Position(r.json["topic"], r.json["partition"], r.json["offset"]) for r in outcomes}


def positions(pipeline: Pipeline, tickets: list[int]) -> set[Position]:
    """Of the inserts of these tickets, once all are captured."""

    def captured() -> set[Position] | None:
        found = {
            record.position
            for record in pipeline.ledger.book().changes
            if record.position.topic == TOPIC
            and not record.injected
            and record.json["op"] == "c"
            and record.json["after"]["id"] in tickets
        }
        return found if len(found) == len(tickets) else None

    return until("tickets captured", captured, TIMEOUT_S)


def stored(stack: LiveStack, path: str) -> bytes:
    """Every byte below a path of the object store."""
    bucket, _, prefix = path.removeprefix("s3://").partition("/")
    with objects(f"http://{HOST}:{stack.plan.ports.object_store}") as store:
        there = store.listed(bucket, f"{prefix}/")
        assert there, f"nothing below {path}"
        return b"".join(store.read(each.path) or b"" for each in there)


def test_a_paused_agent_lets_events_wait_and_a_resumed_one_decides_them_all(pipeline: Pipeline) -> None:
    pipeline.settle()
    said = pipeline.stack.json("agents", "pause", AGENT)
    assert (said["command"], said["problems"]) == ("pause", [])
    waiting = positions(pipeline, pipeline.load.insert(20))
    until("the other agent's outcomes", lambda: waiting <= decided(pipeline, OTHER), TIMEOUT_S)
    time.sleep(STILL_S)
    assert not waiting & decided(pipeline, AGENT)

    pipeline.stack.json("agents", "resume", AGENT)
    until("outcomes of what waited", lambda: waiting <= decided(pipeline, AGENT), TIMEOUT_S)
    pipeline.verify()


def test_a_pause_outlives_the_job(pipeline: Pipeline) -> None:
    pipeline.settle()
    pipeline.stack.json("agents", "pause", AGENT)
    pipeline.stack.down()
    pipeline.stack.up()
    waiting = positions(pipeline, pipeline.load.insert(5))
    until("the other agent's outcomes", lambda: waiting <= decided(pipeline, OTHER), TIMEOUT_S)
    time.sleep(STILL_S)
    assert not waiting & decided(pipeline, AGENT)
    pipeline.stack.json("agents", "resume", AGENT)
    pipeline.verify()


def test_a_drained_agent_has_nothing_left_to_decide(pipeline: Pipeline) -> None:
    with pipeline.load.running(transactions_per_second=20):
        pipeline.decide_an_event(TIMEOUT_S)
        pipeline.stack.json("agents", "drain", AGENT)
    state = pipeline.stack.json("agents", "check", AGENT)
    assert state["problems"] == []
    # What came in after the drain waits, with no step of a run.
    assert "journal" not in state["counts"]
    pipeline.stack.json("agents", "resume", AGENT)
    pipeline.verify()


def test_all_of_the_state_can_be_read_and_a_memory_looked_at(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.load.insert(2, customer=CUSTOMER)
    pipeline.verify()
    said = pipeline.stack.json("agents", "check", AGENT)
    assert (said["problems"], said["shards"]) == ([], 128)
    memories = said["counts"]["memory"]

    got = pipeline.stack.json("memory", "get", AGENT, f"customer_id={CUSTOMER}")
    assert got["key"] == {"customer_id": CUSTOMER}
    assert got["memory"]["tickets_seen"] == 2

    output = tmp_path / "memories.jsonl"
    exported = pipeline.stack.json("memory", "export", AGENT, "--output", str(output))
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert exported["memories"] == len(lines) == memories
    assert len({json.dumps(line["key"]) for line in lines}) == memories
    assert got in lines

    migrated = pipeline.stack.json("agents", "migrate", AGENT)
    assert migrated["counts"] == {"current": memories}


def test_an_erased_key_leaves_no_trace_in_state_and_in_the_savepoint(pipeline: Pipeline) -> None:
    pipeline.load.insert(2, customer=CUSTOMER)
    pipeline.verify()
    stack, trace = pipeline.stack, str(CUSTOMER).encode()
    job = stack.job_ids()[AGENT]
    before = stack.flink.savepoint(job, erasure_folder(AGENT), TIMEOUT_S)
    assert trace in stored(stack, before)

    said = stack.json("memory", "erase", AGENT, f"customer_id={CUSTOMER}", "--yes")
    assert said["counts"] == {"memories": 1}
    assert trace not in stored(stack, said["savepoint"])
    assert {TOPIC, f"{AGENT}.decisions", f"{AGENT}.journal"} <= {each["where"] for each in said["remains"]}
    assert any(each["what"] == "retained checkpoint" for each in said["remains"])

    gone = stack.run("memory", "get", AGENT, f"customer_id={CUSTOMER}")
    assert gone.code == 1
    assert f"{AGENT} remembers nothing for customer_id={CUSTOMER}" in gone.output
    assert stack.job_ids()[AGENT] == job
    # Another agent's memory of the same customer is its own.
    assert stack.json("memory", "get", OTHER, f"customer_id={CUSTOMER}")["memory"]["tickets_seen"] >= 2
    pipeline.verify()


def test_a_question_is_answered_once_and_the_verdict_is_remembered(pipeline: Pipeline) -> None:
    tickets = pipeline.load.insert(3, customer=ASKED_ABOUT)
    pipeline.verify()
    stack = pipeline.stack
    (asked,) = reviews_of(stack, ASKED_ABOUT, "--open")
    assert asked["question"]["ticket_id"] in tickets
    verdict = json.dumps({"ticket_id": asked["question"]["ticket_id"], "take_over": True})
    answer = ("reviews", "answer", AGENT, asked["id"], "--json", verdict, "--by", "ada")

    assert stack.run(*answer).code == 0
    again = stack.run(*answer)
    assert again.code == 1
    assert "--again" in again.output

    assert reviews_of(stack, ASKED_ABOUT, "--open") == []
    (answered,) = reviews_of(stack, ASKED_ABOUT)
    assert [given["by"] for given in answered["answers"]] == ["ada"]
    memory = stack.json("memory", "get", AGENT, f"customer_id={ASKED_ABOUT}")["memory"]
    assert (memory["verdict"], memory["awaiting_verdict_on"]) == ("taken over", None)
    pipeline.verify()


def reviews_of(stack: LiveStack, customer: int, *options: str) -> list[dict[str, Any]]:
    listed = stack.json("reviews", "list", AGENT, *options)
    return [review for review in listed if review["key"] == {"customer_id": customer}]


def test_a_dead_letter_is_listed_and_replayed_once_at_a_time(pipeline: Pipeline) -> None:
    where = injected(pipeline, b'{"customer_id": 7}', b'{"op": "c", "aft')
    pipeline.verify()
    stack = pipeline.stack

    first = only_letter_of(stack, where)
    assert (first["reason"], first["replay"]) == ("malformed", None)
    replayed = stack.run("deadletters", "replay", AGENT, first["position"])
    # It is malformed as ever.
    assert replayed.code == 1
    assert "dead_lettered: malformed" in replayed.output

    pipeline.verify()
    letters = letters_of(stack, where)
    assert [letter["replay"] and letter["replay"]["status"] for letter in letters] == ["dead_lettered", None]
    refused = stack.run("deadletters", "replay", AGENT, first["position"])
    assert refused.code == 1
    assert "replay that one" in refused.output
    assert stack.run("deadletters", "replay", AGENT, letters[1]["position"]).code == 1
    assert len(letters_of(stack, where)) == 3
    pipeline.verify()


def injected(pipeline: Pipeline, key: bytes, value: bytes) -> Position:
    found: list[Position] = []
    producer = Producer({"bootstrap.servers": pipeline.stack.bootstrap_servers})

    def delivered(error: object, message: Any) -> None:
        assert error is None, error
        found.append(Position(message.topic(), message.partition(), message.offset()))

    producer.produce(TOPIC, value=value, key=key, headers=[(INJECTED, "day two")], on_delivery=delivered)
    assert producer.flush(30) == 0
    return found[0]


def letters_of(stack: LiveStack, where: Position) -> list[dict[str, Any]]:
    listed = stack.json("deadletters", "list", AGENT, "--limit", "10000", "--since", "1h")
    return [letter for letter in listed if letter["origin"] == where._asdict()]


def only_letter_of(stack: LiveStack, where: Position) -> dict[str, Any]:
    (letter,) = letters_of(stack, where)
    return letter
