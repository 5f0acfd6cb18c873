"""Questions with their answers, and which may be answered."""

from __future__ import annotations

import pytest

from headrace.errors import HeadraceError
from headrace.local.topics import KeptRecord
from headrace.operations.reviews import Asked, answer_record, asked
from headrace_agents.records import EventRef, Position, Review, ReviewAnswer


def review(id_: str, asked_at_ms: int = 1) -> KeptRecord:
    event = EventRef(topic="t", partition=0, offset=0)
    made = Review(
        id=id_, agent="a", key={"id": 7}, event=event, kind="Q", question={}, asked_at_ms=asked_at_ms
    )
    return KeptRecord(Position("reviews", 0, asked_at_ms), asked_at_ms, b'{"id": 7}', made.encode())


def said(id_: str, by: str) -> KeptRecord:
    answer = ReviewAnswer(review=id_, answer={"ok": True}, by=by)
    return KeptRecord(Position("answers", 0, 0), 1, b"k", answer.encode())


def found() -> list[Asked]:
    junk = KeptRecord(Position("answers", 0, 1), 1, b"k", b"no answer")
    return asked([review("r2", 2), review("r1"), review("r2", 2)], [said("r2", "ada"), junk])


def test_reviews_are_in_the_order_of_asking_each_once_with_its_answers() -> None:
    assert [(each.review.id, [a.by for a in each.answers]) for each in found()] == [
        ("r1", []),
        ("r2", ["ada"]),
    ]


def test_an_answer_is_for_the_reviews_own_key() -> None:
    key, value = answer_record(found(), "r1", '{"ok": false}', "bob", again=False)
    assert key == b'{"id": 7}'
    assert ReviewAnswer.model_validate_json(value) == ReviewAnswer(
        review="r1", answer={"ok": False}, by="bob"
    )


def test_a_review_is_answered_once_unless_it_is_meant() -> None:
    with pytest.raises(HeadraceError, match="ada has answered review r2; --again"):
        answer_record(found(), "r2", "{}", "bob", again=False)
    assert answer_record(found(), "r2", "{}", "bob", again=True)[0] == b'{"id": 7}'


@pytest.mark.parametrize(
    ("id_", "answer", "why"),
    [("r9", "{}", "no review r9"), ("r1", "yes", "allowed"), ("r1", "[]", "allowed")],
)
def test_an_unknown_review_and_what_is_no_object_are_refused(id_: str, answer: str, why: str) -> None:
    with pytest.raises(HeadraceError, match=why):
        answer_record(found(), id_, answer, "", again=False)
