"""What comes back to a key: reminders at their time, and what humans answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import to_json

from headrace_agents import Agent, Answer, Change, Context, Reminder, codec, on, on_answer, on_reminder
from headrace_agents.records import (
    InputRecord,
    OutputRecord,
    Position,
    decision_id,
    encode_replay,
    is_reminder,
)
from headrace_agents.testing import AgentTest
from tests.unit.agents.worlds import Question, Thing, Tracker, Verdict, World, created, key

TABLE = "public.things"
SECOND = timedelta(seconds=1)


class Row(BaseModel):
    id: int
    after_ms: list[int] = []
    wrong: bool = False


class Heard(BaseModel):
    what: list[str] = []


class Said(BaseModel):
    what: str


class Due(BaseModel):
    what: str


class Check(BaseModel):
    number: int


class Unknown(BaseModel):
    number: int = 1


Run = Context[Heard, Said]


class Reminded(Agent[Heard, Said]):
    @on(TABLE)
    async def row(self, ctx: Run, change: Change[Row]) -> None:
        for place, after_ms in enumerate(change.row.after_ms):
            payload = Due(what=f"{change.row.id}.{place}") if place % 2 == 0 else Check(number=place)
            ctx.remind(timedelta(milliseconds=after_ms), payload)
        if change.row.wrong:
            ctx.remind(SECOND, Unknown())

    @on_reminder
    async def due(self, ctx: Run, reminder: Reminder[Due]) -> None:
        ctx.memory.what.append(reminder.payload.what)
        ctx.emit(Said(what=f"{reminder.payload.what} at {reminder.due_at:%S.%f} of {reminder.key['key']}"))

    @on_reminder
    async def check(self, ctx: Run, reminder: Reminder[Check]) -> None:
        await ctx.step("check", str, reminder.payload.number)
        ctx.memory.what.append(f"check {reminder.payload.number}")


@pytest.fixture
def agent() -> AgentTest:
    return AgentTest(Reminded, key=("key",))


def row(number: int, *after_ms: int, key: int = 7) -> dict[str, object]:
    return {"id": number, "key": key, "after_ms": list(after_ms)}


def heard(agent: AgentTest, key: int = 7) -> list[str]:
    memory = agent.memory(key=key)
    return memory.what if isinstance(memory, Heard) else []


# Reminders


def test_a_reminder_comes_at_its_time_with_what_it_was_given(agent: AgentTest) -> None:
    agent.create(TABLE, row(1, 1500))

    assert agent.advance(SECOND) == []
    (handled,) = agent.advance(SECOND)

    assert handled.decisions == (Said(what="1.0 at 01.500000 of 7"),)
    origin = handled.outcome.origin
    assert origin is not None
    assert origin.position == Position(TABLE, 0, 0)
    assert is_reminder(Position(handled.outcome.topic, handled.outcome.partition, handled.outcome.offset))


def test_a_reminder_is_due_when_exactly_its_time_has_passed(agent: AgentTest) -> None:
    agent.create(TABLE, row(1, 1000))

    assert len(agent.advance(SECOND)) == 1


def test_several_come_in_the_order_of_their_time_each_to_its_handler(agent: AgentTest) -> None:
    agent.create(TABLE, row(1, 900, 600, 300))

    assert len(agent.advance(SECOND)) == 3
    assert heard(agent) == ["1.2", "check 1", "1.0"]


def test_those_of_one_millisecond_all_come_in_the_order_in_which_they_were_set(agent: AgentTest) -> None:
    agent.create(TABLE, row(1, 500, 500))
    agent.create(TABLE, row(2, 500, 500))
    agent.create(TABLE, row(3, 500, key=8))

    assert len(agent.advance(SECOND)) == 5
    assert heard(agent) == ["1.0", "check 1", "2.0", "check 1"]
    assert heard(agent, key=8) == ["3.0"]


def test_an_event_between_makes_no_reminder_come_early(agent: AgentTest) -> None:
    agent.create(TABLE, row(1, 1))

    assert agent.create(TABLE, row(2)).outcome.origin is None
    assert len(agent.advance(SECOND)) == 1


def test_a_reminder_comes_once_though_its_run_is_lost(agent: AgentTest) -> None:
    agent.create(TABLE, row(1, 100, 200, 300))
    agent.crash_after(1)

    handled = agent.advance(SECOND)

    assert [each.outcome.status for each in handled] == ["decided"] * 3
    assert heard(agent) == ["1.0", "check 1", "1.2"]


def test_ids_of_reminders_are_the_same_whenever_their_event_is_decided_again() -> None:
    one, other = (AgentTest(Reminded, key=("key",)) for _ in range(2))
    for each in (one, other):
        each.create(TABLE, row(1, 100, 200, 300))

    def ids(agent: AgentTest) -> list[tuple[str, tuple[str, ...]]]:
        return [(handled.outcome.topic, handled.outcome.decisions) for handled in agent.advance(SECOND)]

    assert (found := ids(one)) == ids(other)
    assert len({topic for topic, _ in found}) == 3


def test_a_payload_that_no_handler_takes_is_refused_and_the_event_is_a_dead_letter(agent: AgentTest) -> None:
    handled = agent.create(TABLE, {**row(1), "wrong": True})

    assert handled.outcome.reason == "handler_error"
    assert handled.dead_letter is not None
    assert (
        b"a reminder with a Unknown; those marked with @on_reminder take: "
        in (handled.dead_letter.headers["headrace.detail"])
    )
    assert agent.advance(SECOND) == []


@pytest.mark.parametrize("after_ms", [0, -5])
def test_a_reminder_that_is_not_later_than_now_is_refused(agent: AgentTest, after_ms: int) -> None:
    handled = agent.create(TABLE, row(1, after_ms))

    assert handled.outcome.reason == "handler_error"


def test_a_reminder_of_a_class_that_is_gone_is_a_dead_letter() -> None:
    world = World([created(0, 1, "remind")])
    world.take()
    world.end_run(0)
    world.pass_time(100)

    class Newer(Tracker):
        later = None  # type: ignore[assignment]

    world.upgrade(Newer)
    world.finish()

    assert [outcome.reason for outcome in world.outcomes()] == [None, "malformed"]
    assert b"no handler takes a reminder with a Later" in world.dead_letters()[0].headers["headrace.detail"]


def test_a_reminder_that_is_due_while_nothing_runs_comes_after_the_crash() -> None:
    world = World([created(0, 1, "remind"), created(1, 1)])
    world.take()
    world.end_run(0)
    world.pass_time(100)
    world.checkpoint()
    world.pass_time(1_000)
    world.crash()

    world.finish()

    assert [outcome.topic.partition("/")[0] for outcome in world.outcomes()][:1] == [TABLE]
    assert len(world.outcomes()) == 3
    assert not [entry for entry in world.durable.state if entry[:1] == codec.REMINDERS]


# Replays


def replay(world: World, dead: OutputRecord, offset: int = 0) -> InputRecord:
    """The dead letter as it would be written to the replays topic."""

    def said(name: str) -> str:
        return (dead.headers.get(f"headrace.origin.{name}") or dead.headers[f"headrace.{name}"]).decode()

    position = Position(said("topic"), int(said("partition")), int(said("offset")))
    event = InputRecord(position, 1, dead.key, dead.value)
    place = Position(world.spec.feedback.replays, 0, offset)
    return InputRecord(place, 2, dead.key, encode_replay(event))


def failed_and_mended(record: InputRecord) -> tuple[World, type[Agent[Heard, Said]]]:
    class Failing(Reminded):
        @on_reminder
        async def due(self, ctx: Run, reminder: Reminder[Due]) -> None:
            raise RuntimeError("not yet")

    world = World([record], agent_class=Failing)
    return world, Reminded


def test_a_replay_has_the_ids_of_the_event_and_an_outcome_of_its_own() -> None:
    class Failing(Tracker):
        @on(TABLE, "create")
        async def thing(self, ctx: Context[Any, Any], change: Change[Thing]) -> None:
            raise RuntimeError("not yet")

    world = World([created(0, 1)], agent_class=Failing)
    world.finish()
    world.upgrade(Tracker)

    world.put_in(replay(world, world.dead_letters()[0], offset=9))
    world.finish()

    outcome = world.outcomes()[-1]
    assert (outcome.topic, outcome.offset, outcome.status) == (world.spec.feedback.replays, 9, "decided")
    assert outcome.origin is not None
    assert outcome.origin.position == Position(TABLE, 0, 0)
    assert outcome.decisions == (decision_id(world.spec.name, Position(TABLE, 0, 0), 0),)


def test_a_replay_that_fails_again_is_a_dead_letter_that_knows_its_origin() -> None:
    world = World([created(3, 1, "fail")])
    world.finish()

    world.put_in(replay(world, world.dead_letters()[0], offset=9))
    world.finish()

    first, second = world.dead_letters()
    assert (first.key, first.value) == (second.key, second.value)
    assert second.headers["headrace.offset"] == b"9"
    assert second.headers["headrace.origin.offset"] == b"3"
    again = replay(world, second)
    assert again.value == replay(world, first).value


def test_a_reminder_s_dead_letter_can_be_replayed() -> None:
    source = {"schema": "public", "table": "things"}
    value = to_json({"after": row(1, 100), "source": source, "op": "c"})
    world, mended = failed_and_mended(InputRecord(Position(TABLE, 0, 0), 1, key(7), value))
    world.finish()
    (dead,) = world.dead_letters()
    assert dead.headers["headrace.topic"].startswith(b"reminder/")
    world.upgrade(mended)

    world.put_in(replay(world, dead))
    world.finish()

    reminded = Position(dead.headers["headrace.topic"].decode(), 0, 0)
    outcome = world.outcomes()[-1]
    assert outcome.origin is not None
    assert outcome.origin.position == reminded
    assert outcome.decisions == (decision_id(world.spec.name, reminded, 0),)


def test_what_is_no_replay_is_a_dead_letter() -> None:
    world = World([])
    world.put_in(InputRecord(Position(world.spec.feedback.replays, 0, 0), 1, key(7), b"what?"))

    assert [outcome.reason for outcome in world.outcomes()] == ["malformed"]


# Questions and answers


def asked() -> AgentTest:
    return AgentTest(Tracker, key=("key",))


def test_a_question_goes_out_with_its_decisions_and_the_answer_comes_back_to_the_key() -> None:
    agent = asked()
    (review,) = agent.create(TABLE, {"id": 1, "key": 7, "do": "ask"}).reviews
    assert (review.kind, Question.model_validate(review.question)) == ("Question", Question(thing=1))
    assert review.key == {"key": 7}

    handled = agent.answer(review, Verdict(thing=5), by="ada")

    assert [decision.model_dump() for decision in handled.decisions] == [{"thing": 5, "seen": 1}]


def test_a_question_s_id_is_the_same_when_its_run_is_lost() -> None:
    ids = []
    for crash in (False, True):
        world = World([created(0, 1, "ask")])
        world.take()
        if crash:
            world.end_run(0)
            world.crash()
        world.finish()
        (review,) = [output for output in world.durable.outputs if output.topic == "reviews"]
        ids.append((review.value or b"").split(b'"asked_at_ms"')[0])

    assert ids[0] == ids[1]


def test_an_agent_that_takes_no_answers_decides_them_with_nothing() -> None:
    agent = AgentTest(Reminded, key=("key",))
    (review,) = asked().create(TABLE, {"id": 1, "key": 7, "do": "ask"}).reviews

    handled = agent.answer(review, Verdict(thing=5))

    assert (handled.outcome.status, handled.decisions) == ("decided", ())


def test_an_answer_waits_behind_the_events_of_its_key() -> None:
    world = World([created(0, 1)])
    world.take()
    answer = b'{"review": "r", "answer": {"thing": 9}, "by": "ada"}'
    world.put_in(InputRecord(Position(world.spec.feedback.answers, 0, 0), 1, key(1), answer))

    world.finish()

    assert [decision.decision for decision in world.decisions()] == [
        {"thing": 0, "seen": 1},
        {"thing": 9, "seen": 1},
    ]


class Names(Agent[Heard, Said]):
    @on(TABLE)
    async def row(self, ctx: Run, change: Change[Row]) -> None:
        ctx.escalate(Question(thing=change.row.id))

    @on_answer
    async def answered(self, ctx: Run, answer: Answer[Verdict]) -> None:
        ctx.emit(Said(what=f"{answer.by} said {answer.answer.thing} to {answer.review}"))


def test_an_answer_names_who_gave_it_and_the_question() -> None:
    agent = AgentTest(Names, key=("key",))
    (review,) = agent.create(TABLE, row(1)).reviews

    handled = agent.answer(review, Verdict(thing=5), by="ada")

    assert handled.decisions == (Said(what=f"ada said 5 to {review.id}"),)
