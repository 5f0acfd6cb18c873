"""Columns added, renamed, dropped and of another type, and another primary key, under load: each policy does
what the declaration says, nothing is lost, nothing restarts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from headrace_agents.records import DecisionRecord, Outcome, Position
from tests.chaos.schema.orders import DEFAULT, SCHEMA_CHANGES, Placing, change_schemas, prepare
from tests.pipeline.figures import figures
from tests.pipeline.ledger import AgentBook, Record
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import in_make_chaos_alone
from tests.pipeline.stack import ENVIRONMENT, LiveStack, changed
from tests.pipeline.waiting import until

BURIED, HELD, PASSED = "of-buried", "of-held", "of-passed"
UNFIT = ("retyped", "renamed", "dropped")
"""Tables whose rows do not fit after their change."""
EACH_SIDE = 100
"""Changes of each source before and after: several of each table and customer."""
DECIDED_WITHIN_S = 120


@in_make_chaos_alone("that schemas may change under load")
def test_each_change_of_a_schema_under_load_leads_to_what_its_source_declares(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    stack = pipeline.stack
    prepare(stack)
    restarts, placing = stack.restarts(), Placing(stack)
    with placing.running():
        wait_for(placing, stack, EACH_SIDE)
        change_schemas(stack)
        wait_for(placing, stack, 2 * EACH_SIDE)
    until("every change captured", lambda: captured(pipeline) == placing.committed, DECIDED_WITHIN_S)
    assert stack.restarts() == restarts
    assert stack.is_capturing()

    for agent in (BURIED, PASSED):
        until(f"{agent} is done", lambda name=agent: is_done(pipeline, name), DECIDED_WITHIN_S)  # type: ignore[misc]
    buried_what_does_not_fit(pipeline)
    decided_all(pipeline, PASSED)
    assert {"none", "about 7", str(DEFAULT)} <= amounts(book(pipeline, PASSED))

    until("all that fits is decided", lambda: is_held(pipeline), DECIDED_WITHIN_S)
    assert sum(figures(stack, HELD, "tables_held").values()) == len(UNFIT)
    told = {agent["name"]: agent["tables_held"] for agent in stack.json("status")["agents"]}
    assert told == {BURIED: 0, HELD: len(UNFIT), PASSED: 0}
    assert not book(pipeline, HELD).dead_letters

    ready(stack, tmp_path).up()
    until("held changes are decided", lambda: is_done(pipeline, HELD), DECIDED_WITHIN_S)
    decided_all(pipeline, HELD)
    assert sum(figures(stack, HELD, "tables_held").values()) == 0


def wait_for(placing: Placing, stack: LiveStack, changes: int) -> None:
    """Of each source."""

    def placed() -> bool:
        by_source: dict[str, int] = defaultdict(int)
        for topic, count in placing.committed.items():
            by_source[topic.split(".")[0]] += count
        return bool(placing.failed) or all(by_source[s.name] >= changes for s in stack.plan.sources)

    until(f"{changes} changes", placed, DECIDED_WITHIN_S)


def captured(pipeline: Pipeline) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for record in pipeline.ledger.book().changes:
        found[record.position.topic] += 1
    return dict(found)


def book(pipeline: Pipeline, agent: str) -> AgentBook:
    return pipeline.ledger.book().agents[agent]


def inputs(pipeline: Pipeline, agent: str) -> list[Record]:
    read = pipeline.ledger.book()
    return [record for record in read.changes if record.position.topic in read.agents[agent].inputs]


def outcomes(found: AgentBook) -> dict[Position, Outcome]:
    read = [Outcome.model_validate_json(record.value or b"") for record in found.outcomes]
    by_position = {Position(each.topic, each.partition, each.offset): each for each in read}
    assert len(by_position) == len(read), "an event has two outcomes"
    return by_position


def is_done(pipeline: Pipeline, agent: str) -> bool:
    return outcomes(book(pipeline, agent)).keys() == {record.position for record in inputs(pipeline, agent)}


def fits(record: Record) -> bool:
    rows = (record.json["before"], record.json["after"])
    return all(isinstance(row.get("amount"), int) for row in rows if row is not None)


def buried_what_does_not_fit(pipeline: Pipeline) -> None:
    found = outcomes(book(pipeline, BURIED))
    expected = {record.position: None if fits(record) else "malformed" for record in inputs(pipeline, BURIED)}
    assert {position: outcome.reason for position, outcome in found.items()} == expected
    for table in UNFIT:
        unfit = [record for record in inputs(pipeline, BURIED) if not fits(record)]
        assert any(record.position.topic.endswith(table) for record in unfit), f"{table} changed for nobody"


def decided_all(pipeline: Pipeline, agent: str) -> None:
    """Each once, and the changes of a row in their order."""
    found = outcomes(book(pipeline, agent))
    assert {outcome.status for outcome in found.values()} == {"decided"}
    numbers: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    decisions = decisions_of(book(pipeline, agent))
    assert len(decisions) == len(found)
    for decision in decisions:
        at = Position(**decision.event)
        numbers[at.topic, str(decision.key)].append((decision.decision["number"], at.offset))
    for of_key in numbers.values():
        offsets = [offset for _, offset in sorted(of_key)]
        assert offsets == sorted(offsets)


def decisions_of(found: AgentBook) -> Sequence[DecisionRecord]:
    return [DecisionRecord.model_validate_json(record.value or b"") for record in found.decisions]


def amounts(found: AgentBook) -> set[str]:
    return {decision.decision["amount"] for decision in decisions_of(found)}


def is_held(pipeline: Pipeline) -> bool:
    """What does not fit has no outcome, nor has what waits behind it; all else has."""
    given, found = inputs(pipeline, HELD), outcomes(book(pipeline, HELD))
    assert all(fits(record) for record in given if record.position in found)
    held = sum(record.position not in found for record in given)
    waiting = sum(figures(pipeline.stack, HELD, "inbox_events").values())
    return held == waiting and sum(figures(pipeline.stack, HELD, "tables_held").values()) > 0


def ready(stack: LiveStack, folder: Path) -> LiveStack:
    """The declaration as the tables are by now, with an agent that can read them."""
    document: dict[str, Any] = yaml.safe_load(stack.declaration.read_text())
    sources = document["config"][ENVIRONMENT]["sources"]
    columns: dict[str, dict[str, str | None]] = {
        "added": {"note": "text"},
        "retyped": {"amount": "text"},
        "renamed": {"amount": None, "total": "bigint"},
        "dropped": {"amount": None},
    }
    for source in sources:
        for table in source["tables"]:
            name = table["name"].removeprefix("public.")
            merged = {**table["columns"], **columns.get(name, {})}
            table["columns"] = {column: kind for column, kind in merged.items() if kind}
            if name == "keyed":
                table["primary_key"] = ["customer_id", "id"]
    assert {"keyed", *columns} == SCHEMA_CHANGES.keys()
    other = changed(stack.declaration, folder / "tables", {"sources": sources})
    for agent in stack.agents:
        change = {"entry_point": "headrace_testing_agents.orders:ReadyOrdering"}
        other = changed(other.declaration, folder / agent, change, agent)
    return other
