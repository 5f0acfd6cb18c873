"""What became of dead letters, which of them may be replayed, and that a replay makes no decision twice."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from pydantic_core import to_json

from headrace.errors import HeadraceError
from headrace.local.topics import KeptRecord
from headrace.operations.dead_letters import (
    DeadLetter,
    Listed,
    chosen,
    letter_of,
    listed,
    refusals,
    replay_records,
    replays_of,
)
from headrace.operations.stack import Stack
from headrace_agents import Agent, Change, Context, ModelError, on
from headrace_agents.records import (
    InputRecord,
    Outcome,
    Position,
    Reason,
    Status,
    Times,
    dead_letter_headers,
    decision_id,
    decode_replay,
    encode_replay,
)
from headrace_agents.spec import AgentJobSpec
from headrace_agents.testing import AgentTest

TIMES = Times(
    committed_at_ms=1, kafka_at_ms=2, accepted_at_ms=3, started_at_ms=4, finished_at_ms=5, emitted_at_ms=6
)


@pytest.fixture
def spec(stack: Stack) -> AgentJobSpec:
    return stack.plan.agents[0].spec


def event(offset: int) -> Position:
    return Position("support.public.tickets", 0, offset)


def letter(
    place: int,
    of: Position,
    origin: Position | None = None,
    reason: Reason = "model_error",
    value: bytes = b"{}",
) -> DeadLetter:
    headers = dead_letter_headers("triage", of, reason, "why", origin)
    return letter_of(KeptRecord(Position("dead", 0, place), place, b"k", value, headers))


def replay(spec: AgentJobSpec, offset: int, origin: Position) -> KeptRecord:
    value = encode_replay(InputRecord(origin, 1, b"k", b"{}"))
    return KeptRecord(Position(spec.feedback.replays, 0, offset), offset, b"k", value)


def outcome(position: Position, status: Status) -> Outcome:
    return Outcome(
        agent="triage",
        **position._asdict(),
        status=status,
        decisions=(),
        reason=None,
        times=TIMES,
        model_calls=0,
    )


def test_a_letter_says_where_its_event_and_its_origin_are() -> None:
    first = letter(1, event(5))
    assert (first.event, first.origin, first.reason, first.detail) == (
        event(5),
        event(5),
        "model_error",
        "why",
    )
    again = letter(2, Position("replays", 0, 3), event(5))
    assert (again.event, again.origin, again.number) == (Position("replays", 0, 3), event(5), "0@2")


def test_each_letter_has_the_replay_that_came_after_it(spec: AgentJobSpec) -> None:
    replays = [replay(spec, 0, event(5)), replay(spec, 1, event(6)), replay(spec, 2, event(5))]
    outcomes = [outcome(replays[0].position, "dead_lettered"), outcome(replays[2].position, "decided")]
    letters = [letter(1, event(5)), letter(2, event(6)), letter(3, replays[0].position, event(5))]
    found = listed([*letters, letter(4, event(7))], replays_of(replays, outcomes))
    assert [each.replay and (each.replay.position.offset, each.replay.status) for each in found] == [
        (0, "dead_lettered"),
        (1, None),
        (2, "decided"),
        None,
    ]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (None, "not decided yet"),
        ("decided", "decided in its replay"),
        ("erased", "its key was erased"),
        ("dead_lettered", "replay that one"),
    ],
)
def test_a_letter_with_a_replay_is_refused(spec: AgentJobSpec, status: Status | None, why: str) -> None:
    record = replay(spec, 0, event(5))
    outcomes = [outcome(record.position, status)] if status else []
    found = listed([letter(1, event(5))], replays_of([record], outcomes))
    (refused,) = refusals(spec, chosen(found, ["0@1"], None))
    assert why in refused.why
    assert chosen(found, [], None) == []


def test_one_that_is_a_dead_letter_again_may_be_replayed_again(spec: AgentJobSpec) -> None:
    record = replay(spec, 0, event(5))
    letters = [letter(1, event(5)), letter(2, record.position, event(5))]
    found = listed(letters, replays_of([record], [outcome(record.position, "dead_lettered")]))
    picked = chosen(found, [], None)
    assert [each.letter.number for each in picked] == ["0@2"]
    assert refusals(spec, picked) == []


def test_too_large_a_letter_is_refused_until_the_limit_is_above_it(spec: AgentJobSpec) -> None:
    large = Listed(letter(1, event(5), reason="too_large", value=b"x" * spec.limits.max_event_bytes), None)
    (refused,) = refusals(spec, [large])
    assert "limits.max_event_bytes" in refused.why
    raised = spec.limits.model_copy(update={"max_event_bytes": 2 * spec.limits.max_event_bytes})
    assert refusals(spec.model_copy(update={"limits": raised}), [large]) == []


def test_what_was_no_replay_is_no_event(spec: AgentJobSpec) -> None:
    (refused,) = refusals(spec, [Listed(letter(1, Position(spec.feedback.replays, 0, 4)), None)])
    assert "no event" in refused.why


def test_replays_are_in_the_order_of_the_events_and_one_for_each() -> None:
    picked = [letter(1, event(12)), letter(2, event(9)), letter(3, Position("replays", 0, 0), event(12))]
    records = replay_records([Listed(each, None) for each in picked], {event(9): 77})
    events = [decode_replay(InputRecord(Position("r", 0, 0), 1, key, value)) for key, value in records]
    assert [(each.position.offset, each.timestamp_ms, each.key) for each in events] == [
        (9, 77, b"k"),
        (12, 3, b"k"),
    ]


@pytest.mark.parametrize("number", ["7", "0@", "a@1", "0@99"])
def test_a_position_without_a_letter_is_refused(number: str) -> None:
    with pytest.raises(HeadraceError, match=number):
        chosen([Listed(letter(1, event(5)), None)], [number], None)


class Row(BaseModel):
    id: int
    customer_id: int


class Memory(BaseModel):
    seen: list[int] = []


class Noted(BaseModel):
    id: int


class Notes(Agent[Memory, Noted]):
    @on("public.tickets", "create")
    async def opened(self, ctx: Context[Memory, Noted], change: Change[Row]) -> None:
        await ctx.model("what is it?")
        ctx.memory.seen.append(change.row.id)
        ctx.emit(Noted(id=change.row.id))


def test_a_replay_is_decided_under_the_ids_of_the_first_event() -> None:
    failing = True

    def model(_: object) -> str:
        if failing:
            raise ModelError("overloaded", "503")
        return "fine"

    agent = AgentTest(Notes, key=("customer_id",), model=model)
    dead = [agent.create("public.tickets", {"id": number, "customer_id": 7}) for number in (1, 2)]
    failing = False
    letters = [
        letter_of(KeptRecord(Position("dead", 0, 9 - at), 1, output.key, output.value, output.headers))
        for at, handled in enumerate(dead)
        if (output := handled.dead_letter) is not None
    ]
    records = replay_records([Listed(each, None) for each in letters], {})

    decided = [agent.send("replays", key, value) for key, value in records]

    assert [each.outcome.status for each in decided] == ["decided", "decided"]
    assert [each.decisions for each in decided] == [(Noted(id=1),), (Noted(id=2),)]
    for offset, each in enumerate(decided):
        origin = Position("public.tickets", 0, offset)
        assert each.outcome.topic == "replays"
        assert each.outcome.origin is not None
        assert each.outcome.origin.position == origin
        assert each.outcome.decisions == (decision_id("Notes", origin, 0),)
    assert agent.memory(customer_id=7) == Memory(seen=[1, 2])
    assert records[0][0] == to_json({"customer_id": 7})
