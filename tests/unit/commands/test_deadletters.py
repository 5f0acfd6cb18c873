"""`headrace deadletters` and `headrace reviews`, with topics in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from typer.testing import Result

from headrace.commands import deadletters, reviews
from headrace.commands.common import FAILED
from headrace.operations.dead_letters import DeadLetter, Listed, Replay
from headrace.operations.reviews import Asked
from headrace_agents.records import (
    EventRef,
    InputRecord,
    Outcome,
    Position,
    Review,
    ReviewAnswer,
    Status,
    Times,
    decode_replay,
)
from headrace_agents.spec import AgentJobSpec
from tests.unit.commands.conftest import run

Records = Sequence[tuple[bytes | None, bytes | None]]
AGENT = "support-triage"
REPLAYS = f"{AGENT}.replays"
EVENT = Position("support.public.tickets", 0, 5)
LETTER = DeadLetter(
    place=Position(f"{AGENT}.dead-letters", 0, 12),
    event=EVENT,
    origin=EVENT,
    reason="model_error",
    detail="503",
    at_ms=1_000,
    key=b'{"customer_id":7}',
    value=b"{}",
)
TIMES = Times(
    committed_at_ms=1, kafka_at_ms=2, accepted_at_ms=3, started_at_ms=4, finished_at_ms=5, emitted_at_ms=6
)


def replayed(status: Status | None) -> Replay:
    return Replay(Position(REPLAYS, 0, 0), EVENT, status)


class Topics:
    def __init__(self) -> None:
        self.letters = [Listed(LETTER, None)]
        self.reviews: list[Asked] = []
        self.becomes: Status | None = "decided"
        self.written: list[tuple[str, Records]] = []

    def write_and_wait(
        self, spec: AgentJobSpec, topic: str, records: Records, heard: Callable[[int], None], *, wait_s: float
    ) -> tuple[list[Position], dict[Position, Outcome]]:
        self.written.append((topic, records))
        positions = [Position(topic, 0, offset) for offset in range(len(records))]
        if self.becomes is None or not wait_s:
            return positions, {}
        heard(len(records))
        return positions, {position: outcome(position, self.becomes) for position in positions}


def outcome(position: Position, status: Status) -> Outcome:
    return Outcome(
        agent=AGENT,
        **position._asdict(),
        origin=EventRef(**EVENT._asdict()),
        status=status,
        decisions=(),
        reason="model_error" if status == "dead_lettered" else None,
        times=TIMES,
        model_calls=0,
    )


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    made = Topics()
    for module in (deadletters, reviews):
        monkeypatch.setattr(module, "read_listed", lambda *_: made.letters)
        monkeypatch.setattr(module, "kafka_times", lambda *_: {})
    monkeypatch.setattr(reviews, "read_reviews", lambda *_: made.reviews)
    for module in (deadletters, reviews):
        monkeypatch.setattr(module, "write_and_wait", made.write_and_wait)
        monkeypatch.setattr(module, "running_job", lambda *_: "job")
    return made


def test_dead_letters_are_listed_with_origin_reason_and_replay(topics: Topics) -> None:
    topics.letters = [Listed(LETTER, replayed("decided"))]
    shown = run("deadletters", "list", AGENT).stdout
    for word in ("0@12", "model_error", "503", "support.public.tickets/0@5", "decided"):
        assert word in shown
    (said,) = json.loads(run("deadletters", "list", AGENT, "--json").stdout)
    assert (said["position"], said["origin"]["offset"], said["bytes"]) == ("0@12", 5, 19)
    assert said["replay"] == {"topic": REPLAYS, "partition": 0, "offset": 0, "status": "decided"}


def test_the_newest_are_listed_and_only_those_of_a_reason(topics: Topics) -> None:
    other = replace(LETTER, place=Position("d", 0, 13), reason="malformed")
    topics.letters = [Listed(LETTER, None), Listed(other, None)]
    newest = run("deadletters", "list", AGENT, "--limit", "1", "--json")
    assert [each["position"] for each in json.loads(newest.stdout)] == ["0@13"]
    of_reason = run("deadletters", "list", AGENT, "--reason", "model_error", "--json")
    assert [each["position"] for each in json.loads(of_reason.stdout)] == ["0@12"]


@pytest.mark.parametrize("which", [["0@12"], ["--reason", "model_error"], ["--all"]])
def test_a_replay_is_the_first_event_again(which: list[str], topics: Topics) -> None:
    done = run("deadletters", "replay", AGENT, *which)
    assert done.exit_code == 0
    assert "support.public.tickets/0@5  decided" in done.stdout
    ((topic, ((key, value),)),) = topics.written
    assert topic == REPLAYS
    event = decode_replay(InputRecord(Position(REPLAYS, 0, 0), 1, key, value))
    assert (event.position, event.key, event.value) == (EVENT, LETTER.key, LETTER.value)


def test_one_that_is_a_dead_letter_again_is_a_failure(topics: Topics) -> None:
    topics.becomes = "dead_lettered"
    done = run("deadletters", "replay", AGENT, "--all")
    assert done.exit_code == FAILED
    assert "dead_lettered: model_error" in done.stdout


def test_no_outcome_in_time_is_a_failure_with_the_way_out(topics: Topics) -> None:
    topics.becomes = None
    done = run("deadletters", "replay", AGENT, "--all", "--json")
    assert done.exit_code == FAILED
    assert json.loads(done.stdout)["replays"][0]["outcome"] is None
    assert "1 of 1 replays are not decided" in done.stderr
    assert f"headrace agents resume {AGENT}" in done.stderr
    assert run("deadletters", "replay", AGENT, "--all", "--no-wait").exit_code == 0


def test_a_second_replay_of_a_decided_event_is_refused(topics: Topics) -> None:
    topics.letters = [Listed(LETTER, replayed("decided"))]
    refused = run("deadletters", "replay", AGENT, "0@12")
    assert refused.exit_code == FAILED
    assert "0@12 (support.public.tickets/0@5): it was decided in its replay" in refused.stderr
    assert "Nothing was replayed" in refused.stderr
    assert run("deadletters", "replay", AGENT, "--all").exit_code == 0
    assert topics.written == []


@pytest.mark.parametrize("which", [[], ["0@12", "--all"], ["--all", "--reason", "deadline"]])
def test_which_ones_has_to_be_said_in_one_way(which: list[str], topics: Topics) -> None:
    refused = run("deadletters", "replay", AGENT, *which)
    assert refused.exit_code == FAILED
    assert "say which dead letters" in refused.stderr


REVIEW = Review(
    id="r1",
    agent=AGENT,
    key={"customer_id": 7},
    event=EventRef(**EVENT._asdict()),
    kind="Question",
    question={"refund": True},
    asked_at_ms=1,
)


def test_open_reviews_are_listed(topics: Topics) -> None:
    said = ReviewAnswer(review="r2", answer={"yes": True}, by="ada")
    answered = Asked(REVIEW.model_copy(update={"id": "r2"}), b"k", (said,))
    topics.reviews = [Asked(REVIEW, b"k", ()), answered]
    everything = run("reviews", "list", AGENT).stdout
    assert "customer_id=7" in everything
    assert "ada" in everything
    found = json.loads(run("reviews", "list", AGENT, "--open", "--json").stdout)
    assert [each["id"] for each in found] == ["r1"]


def test_an_answer_has_the_reviews_key(topics: Topics) -> None:
    topics.reviews = [Asked(REVIEW, b"k", ())]
    done = run("reviews", "answer", AGENT, "r1", "--json", '{"yes": true}', "--by", "ada")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["outcome"]["status"] == "decided"
    ((topic, ((key, value),)),) = topics.written
    assert (topic, key) == (f"{AGENT}.answers", b"k")
    assert ReviewAnswer.model_validate_json(value or b"") == ReviewAnswer(
        review="r1", answer={"yes": True}, by="ada"
    )


def test_an_answer_that_the_agent_cannot_take_is_a_failure(topics: Topics) -> None:
    topics.reviews, topics.becomes = [Asked(REVIEW, b"k", ())], "dead_lettered"
    assert run("reviews", "answer", AGENT, "r1", "--json", "{}").exit_code == FAILED


FAILED_REVIEW = REVIEW.model_copy(
    update={"id": "failure-1", "kind": "ModelFailure", "question": {"failure": "auth", "detail": "401"}}
)


def answer_failure(said: str, *options: str) -> Result:
    return run("reviews", "answer", AGENT, "failure-1", "--json", said, "--by", "ada", *options)


def test_a_failure_of_the_model_is_answered_by_a_replay_of_its_event(topics: Topics) -> None:
    topics.reviews = [Asked(FAILED_REVIEW, LETTER.key, ())]
    done = answer_failure('{"replay": true}')
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert (said["topic"], said["outcome"]["status"]) == (f"{AGENT}.answers", "decided")
    assert (said["replay"]["topic"], said["replay"]["outcome"]["status"]) == (REPLAYS, "decided")
    # The replay first: an answer closes the question.
    (first, ((key, value),)), (second, _) = topics.written
    assert (first, second) == (REPLAYS, f"{AGENT}.answers")
    event = decode_replay(InputRecord(Position(REPLAYS, 0, 0), 1, key, value))
    assert (event.position, event.key, event.value) == (EVENT, LETTER.key, LETTER.value)


def test_a_failure_may_be_left_as_it_is(topics: Topics) -> None:
    topics.reviews = [Asked(FAILED_REVIEW, LETTER.key, ())]
    done = answer_failure('{"replay": false}')
    assert done.exit_code == 0
    assert "replay" not in json.loads(done.stdout)
    assert [topic for topic, _ in topics.written] == [f"{AGENT}.answers"]


@pytest.mark.parametrize("said", ["{}", '{"replay": "perhaps"}', '{"replay": true, "yes": 1}'])
def test_another_answer_to_a_failure_is_refused_with_what_is_allowed(said: str, topics: Topics) -> None:
    topics.reviews = [Asked(FAILED_REVIEW, LETTER.key, ())]
    refused = answer_failure(said)
    assert refused.exit_code == FAILED
    assert said in refused.stderr
    assert '{"replay": true}' in refused.stderr
    assert topics.written == []


def test_an_event_that_was_replayed_already_or_is_not_kept_is_not_replayed_by_an_answer(
    topics: Topics,
) -> None:
    topics.reviews = [Asked(FAILED_REVIEW, LETTER.key, ())]
    topics.letters = [Listed(LETTER, replayed("decided"))]
    refused = answer_failure('{"replay": true}')
    assert refused.exit_code == FAILED
    assert "it was decided in its replay" in refused.stderr
    topics.letters = []
    assert "no longer kept" in answer_failure('{"replay": true}').stderr
    assert topics.written == []


def test_a_replay_that_fails_again_makes_the_command_fail(topics: Topics) -> None:
    topics.reviews, topics.becomes = [Asked(FAILED_REVIEW, LETTER.key, ())], "dead_lettered"
    assert answer_failure('{"replay": true}').exit_code == FAILED
