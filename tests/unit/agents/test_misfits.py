"""Rows that the agent's model can't read any more, by what the source's declaration says of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from headrace_agents import operator
from headrace_agents.agent import Agent, Change, on
from headrace_agents.records import InputRecord
from headrace_agents.spec import OnMisfit
from headrace_agents.testing import DictState
from tests.unit.agents.worlds import (
    LIMITS,
    TABLE,
    Decided,
    Run,
    Seen,
    Tracker,
    World,
    created,
    envelope,
    key,
    record,
)


class Strict(BaseModel):
    id: int
    key: int
    size: int


class Trimmed(Strict):
    @field_validator("size", mode="before")
    @classmethod
    def trimmed(cls, value: Any) -> Any:
        return value.strip()


class Sized(Agent[Seen, Decided]):
    """Needs a column that not every row has, and another table."""

    @on(TABLE)
    async def sized(self, ctx: Run, change: Change[Strict]) -> None:
        ctx.memory.things.append(change.row.id)
        ctx.emit(Decided(thing=change.row.id, seen=change.row.size))

    @on("public.others")
    async def other(self, ctx: Run, change: Change[Strict]) -> None:
        ctx.emit(Decided(thing=change.row.id, seen=-1))


def row(offset: int, number: int, table: str = "things", **columns: Any) -> InputRecord:
    value = envelope({"id": offset, "key": number, **columns}, table=table)
    made = record(offset, key(number), value)
    return made._replace(position=made.position._replace(topic=f"public.{table}"))


def fitting(offset: int, number: int, table: str = "things") -> InputRecord:
    return row(offset, number, table, size=offset)


def world(policy: OnMisfit, records: list[InputRecord], agent: type[Agent[Any, Any, Any]] = Sized) -> World:
    return World(records, agent_class=agent, on_misfit=policy)


def decided(found: World) -> list[int]:
    return [decision.decision["thing"] for decision in found.decisions()]


def test_a_row_that_does_not_fit_is_a_dead_letter_and_what_follows_is_decided() -> None:
    found = world("dead_letter", [fitting(0, 1), row(1, 1), fitting(2, 1)])
    found.finish()
    assert decided(found) == [0, 2]
    assert [outcome.reason for outcome in found.outcomes()] == [None, "malformed", None]


def test_its_table_is_held_from_it_on_and_other_tables_of_other_keys_go_on() -> None:
    found = world(
        "hold",
        [fitting(0, 1), row(1, 1), fitting(2, 2), fitting(3, 2, "others"), fitting(4, 3, "others")],
    )
    for _ in range(6):
        found.take()
        found.end_run(0)
        found.pass_time(1_000)
    # Key 2 has an event of the held table before that of the other one.
    assert decided(found) == [0, 4]
    assert found.dead_letters() == []
    found.operator.refresh_figures()
    assert (found.operator.figures.tables_held, found.operator.figures.inbox_events) == (1, 3)


def test_no_more_runs_start_at_once_than_the_inbox_may_hold_however_much_was_held() -> None:
    keys = 3 * LIMITS.inbox_hard_events
    found = world("hold", [row(0, 0), *(fitting(1 + n, n) for n in range(keys)), fitting(1 + keys, 1)])
    for _ in range(keys + 2):
        found.take()
        found.end_run(0)
        found.pass_time(100)
    assert found.outcomes() == []

    found.upgrade(Tracker)
    most = 0
    found.records.append(created(2 + keys, keys))
    found.take()
    while len(found.outcomes()) < keys + 3:
        most = max(most, len(found.runner.in_flight))
        assert found.runner.in_flight, "what waits for its turn is forgotten"
        for _ in range(10):
            found.end_run(0)
        found.pass_time(1_000)

    assert most == LIMITS.inbox_hard_events
    assert sorted(decided(found)) == list(range(keys + 3))
    assert [each for each in decided(found) if each in (2, 1 + keys)] == [2, 1 + keys]


def test_a_drain_is_done_without_what_is_held_and_says_so() -> None:
    found = world("hold", [row(0, 1), fitting(1, 2), fitting(2, 3, "others")])
    for _ in range(4):
        found.take()
        found.end_run(0)
        found.pass_time(1_000)
    found.command("drain")
    found.pass_time(1_000)
    (report,) = found.reports()
    assert (report.kind, report.done, [each.key for each in report.problems]) == ("drain", True, [TABLE])
    assert decided(found) == [2]


def test_what_waits_behind_a_run_when_its_table_is_held_is_not_started_after_it() -> None:
    found = world("hold", [row(0, 1), fitting(1, 2), fitting(2, 2)])
    for _ in range(3):
        found.take()
    found.end_run(0)
    found.pass_time(1_000)
    found.end_run(0)
    found.pass_time(1_000)
    assert decided(found) == [1]
    assert found.runner.in_flight == []


def test_what_can_not_be_read_behind_a_run_holds_its_table_when_its_turn_comes() -> None:
    found = world("hold", [fitting(0, 1), record(1, key(1), b"no json"), fitting(2, 2)])
    found.take()
    found.take()
    found.end_run(0)
    found.pass_time(1_000)
    assert decided(found) == [0]
    assert found.dead_letters() == []

    found.checkpoint()
    found.crash()
    found.take()
    found.end_run(0)
    found.pass_time(1_000)
    found.operator.refresh_figures()
    assert (found.operator.figures.tables_held, found.dead_letters()) == (1, [])


def test_what_is_held_is_decided_in_order_by_an_agent_that_can_read_it() -> None:
    found = world("hold", [fitting(0, 1), row(1, 1), fitting(2, 1), fitting(3, 2)])
    for _ in range(6):
        found.take()
        found.end_run(0)
        found.pass_time(1_000)
    assert decided(found) == [0]

    found.upgrade(Tracker)
    found.finish()

    assert sorted(decided(found)) == [0, 1, 2, 3]
    assert [each for each in decided(found) if each != 3] == [0, 1, 2]
    assert len(found.outcomes()) == 4


def test_a_restart_that_mends_nothing_holds_again_and_loses_nothing() -> None:
    found = world("hold", [fitting(0, 1), row(1, 1), fitting(2, 2)])
    for _ in range(4):
        found.take()
        found.end_run(0)
        found.pass_time(1_000)
    found.checkpoint()
    found.crash()
    found.records.append(fitting(3, 9, "others"))
    for _ in range(4):
        found.take()
        found.pass_time(1_000)
        found.end_run(0)
        found.end_run(0)
    # Event 2 is another key's, fits, and may start before event 1 is seen not to.
    assert decided(found) in ([0, 3], [0, 2, 3], [0, 3, 2])
    found.operator.refresh_figures()
    assert found.operator.figures.tables_held == 1
    assert found.dead_letters() == []


def test_a_restore_looks_for_what_waits_and_not_for_all_that_was_decided_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operator, "_LOOKED_UP", 10)
    decided_meanwhile = [fitting(offset, 2, "others") for offset in range(2, 202)]
    found = world("hold", [row(0, 1), fitting(1, 1), *decided_meanwhile, fitting(202, 1)])
    for _ in range(203):
        found.take()
        found.end_run(0)
        found.pass_time(1_000)
    found.checkpoint()
    found.crash()
    asked: list[bytes] = []
    get = DictState.get

    def noted(state: DictState, key: bytes) -> bytes | None:
        asked.append(key)
        return get(state, key)

    monkeypatch.setattr(DictState, "get", noted)
    found.pass_time(60_000)
    assert len(set(asked)) < 20
    assert found.operator.figures.inbox_events == 3

    found.upgrade(Tracker)
    found.finish()
    assert [each for each in decided(found) if each < 2 or each > 201] == [0, 1, 202]


def test_a_row_that_a_validator_fails_at_is_one_that_does_not_fit() -> None:
    class Trims(Agent[Seen, Decided]):
        @on(TABLE)
        async def sized(self, ctx: Run, change: Change[Trimmed]) -> None:
            ctx.emit(Decided(thing=change.row.id, seen=0))

    outcomes = {}
    policies: tuple[OnMisfit, ...] = ("dead_letter", "hold", "pass_on")
    for policy in policies:
        found = world(policy, [row(0, 1, size=None)], Trims)
        for _ in range(3):
            found.take()
            found.end_run(0)
            found.pass_time(1_000)
        outcomes[policy] = [outcome.reason for outcome in found.outcomes()]
    assert outcomes == {"dead_letter": ["malformed"], "hold": [], "pass_on": [None]}


def test_resume_tries_again_and_holds_where_it_still_does_not_fit() -> None:
    found = world("hold", [row(0, 1), fitting(1, 2)])
    for _ in range(4):
        found.take()
        found.end_run(0)
        found.pass_time(1_000)
    found.command("resume")
    for _ in range(4):
        found.end_run(0)
        found.end_run(0)
        found.pass_time(1_000)
    assert decided(found) == [1]
    assert [report.kind for report in found.reports()] == ["resume"]
    found.operator.refresh_figures()
    assert found.operator.figures.tables_held == 1


@pytest.mark.parametrize(("raw", "value"), [(None, None), (key(1), b"no json")])
def test_records_without_a_key_and_without_sense_are_held_too(raw: bytes | None, value: bytes | None) -> None:
    whole = envelope({"id": 0, "key": 1, "size": 0})
    found = world("hold", [record(0, raw, value or whole), fitting(1, 1)])
    for _ in range(3):
        found.take()
        found.end_run(0)
        found.pass_time(1_000)
    assert found.outcomes() == []
    found.operator.refresh_figures()
    assert found.operator.figures.inbox_events == 2


def test_the_hard_bound_of_the_inbox_waits_for_no_run_of_a_held_table() -> None:
    found = world("hold", [row(0, 1), *(fitting(offset, 1) for offset in range(1, 150))])
    for _ in range(150):
        found.take()
        found.end_run(0)
        found.pass_time(100)
    assert found.runner.waits == 0
    assert found.slept_s > 0
    assert found.outcomes() == []


def test_runs_of_other_tables_beside_a_held_one_are_bounded() -> None:
    most = LIMITS.inbox_hard_events
    waiting = [fitting(offset, 1) for offset in range(1, most + 1)]
    found = world(
        "hold", [row(0, 1), *waiting, *(fitting(n, n, "others") for n in range(most + 1, 3 * most))]
    )
    while found.durable.taken < len(found.records):
        found.take()
        if found.durable.taken <= most:
            found.end_run(0)
            found.pass_time(1_000)
        assert len(found.runner.in_flight) <= most
    assert found.runner.waits > 0


def test_passed_on_the_handler_gets_the_row_with_what_does_not_fit_as_it_came() -> None:
    seen: list[Any] = []

    class Curious(Agent[Seen, Decided]):
        @on(TABLE)
        async def sized(self, ctx: Run, change: Change[Strict]) -> None:
            seen.append((change.row.id, getattr(change.row, "size", None)))
            ctx.emit(Decided(thing=change.row.id, seen=0))

    found = world("pass_on", [fitting(0, 1), row(1, 1), row(2, 1, size="large")], Curious)
    found.finish()
    assert seen == [(0, 0), (1, None), (2, "large")]
    assert decided(found) == [0, 1, 2]


def test_a_handler_that_needs_what_is_not_there_makes_a_dead_letter_of_its_own() -> None:
    found = world("pass_on", [row(0, 1), created(1, 1)])
    found.finish()
    assert [outcome.reason for outcome in found.outcomes()] == ["handler_error", "handler_error"]
    assert b"size" in found.dead_letters()[0].headers["headrace.detail"]
    assert json.loads(found.dead_letters()[0].value or b"")["after"] == {"id": 0, "key": 1}
