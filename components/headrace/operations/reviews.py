"""Reviews: agents' questions to humans, and the humans' answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from headrace.errors import HeadraceError
from headrace.local.topics import KeptRecord, read_topic
from headrace.operations.dead_letters import Listed
from headrace_agents.records import FailureAnswer, Review, ReviewAnswer, is_of_failure
from headrace_agents.spec import AgentJobSpec


@dataclass(frozen=True)
class Asked:
    review: Review
    raw_key: bytes | None
    """Of the review's record; its answer has the same, so it comes to the same shard."""
    answers: tuple[ReviewAnswer, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            **self.review.model_dump(mode="json"),
            "answers": [answer.model_dump(mode="json") for answer in self.answers],
        }


def read_reviews(spec: AgentJobSpec) -> list[Asked]:
    """Every review that is kept, by the time it was asked."""
    return asked(read_topic(spec.kafka, spec.outputs.reviews), read_topic(spec.kafka, spec.feedback.answers))


def asked(reviews: Iterable[KeptRecord], answers: Iterable[KeptRecord]) -> list[Asked]:
    """A review that was asked twice, by an event and its replay, is one."""
    said: dict[str, list[ReviewAnswer]] = {}
    for record in answers:
        try:
            answer = ReviewAnswer.model_validate_json(record.value or b"")
        except ValidationError:
            continue  # a dead letter by now
        said.setdefault(answer.review, []).append(answer)
    found: dict[str, Asked] = {}
    for record in reviews:
        review = Review.model_validate_json(record.value or b"")
        found[review.id] = Asked(review, record.key, tuple(said.get(review.id, ())))
    return sorted(found.values(), key=lambda each: (each.review.asked_at_ms, each.review.id))


def answer_record(
    found: Iterable[Asked], review: str, answer: str, by: str, *, again: bool
) -> tuple[bytes | None, bytes]:
    """Key and value for the answers topic.

    Raises HeadraceError for an unknown review, one that was answered (unless `again`), and for an answer that
    is no JSON object.
    """
    known = {each.review.id: each for each in found}
    if review not in known:
        raise HeadraceError(
            f"no review {review}; `headrace reviews list --open` shows those that wait for an answer"
        )
    if known[review].answers and not again:
        who = known[review].answers[-1].by or "somebody"
        raise HeadraceError(f"{who} has answered review {review}; --again answers it once more")
    try:
        content = json.loads(answer)
    except ValueError as error:
        raise HeadraceError(f"--json: given {answer}; allowed: a JSON object ({error})") from None
    if not isinstance(content, dict):
        raise HeadraceError(f"--json: given {answer}; allowed: a JSON object")
    return known[review].raw_key, ReviewAnswer(review=review, answer=content, by=by).encode()


def wants_replay(review: str, answer: str) -> bool:
    """Whether an answer, which :func:`answer_record` took, asks for the review's event to be tried again.

    Agents' own questions never do. Raises HeadraceError for what is no answer to a failure of the model.
    """
    if not is_of_failure(review):
        return False
    try:
        return FailureAnswer.model_validate_json(answer).replay
    except ValidationError:
        raise HeadraceError(
            f'--json: given {answer}; allowed: {{"replay": true}} to try the event of {review} again, or '
            '{"replay": false} to leave its dead letter as it is'
        ) from None


def dead_letter_of(found: Iterable[Listed], review: Review) -> Listed:
    """The newest dead letter of a review's event. Raises HeadraceError when none is kept."""
    event = review.event.position
    letters = [each for each in found if each.letter.origin == event]
    if not letters:
        raise HeadraceError(f"the dead letter of review {review.id} is no longer kept: it can't be replayed")
    return letters[-1]
