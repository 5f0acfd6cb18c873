"""Dead letters: what they say, what became of their replays, and which may be replayed.

A replay is decided under the ids of the event that became the dead letter. So that no decision is made
twice, an event has at most one replay that is undecided or decided: another is refused until the last one
became a dead letter again. Per key, replays go in the order of the events.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.errors import HeadraceError
from headrace.local.topics import KeptRecord, read_topic
from headrace_agents.records import InputRecord, Outcome, Position, Status, decode_replay, encode_replay
from headrace_agents.spec import AgentJobSpec

SLACK_MS = 600_000
"""Clocks of machines, and of transactions: a record's time against that of what came before it."""


@dataclass(frozen=True)
class Replay:
    position: Position
    """In the replays topic."""
    origin: Position
    status: Status | None
    """None: not decided yet, or its outcome is no longer kept."""


@dataclass(frozen=True)
class DeadLetter:
    place: Position
    """In the topic of dead letters."""
    event: Position
    """That could not be decided: of a change, an answer, a reminder or a replay."""
    origin: Position
    """The event that it was at first."""
    reason: str
    detail: str
    at_ms: int
    key: bytes | None
    value: bytes | None

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")

    @property
    def number(self) -> str:
        """As it is written on a command line."""
        return f"{self.place.partition}@{self.place.offset}"


@dataclass(frozen=True)
class Listed:
    letter: DeadLetter
    replay: Replay | None
    """The first one after it."""

    def as_json(self) -> dict[str, Any]:
        letter, replay = self.letter, self.replay
        return {
            "position": letter.number,
            "origin": letter.origin._asdict(),
            "event": letter.event._asdict(),
            "reason": letter.reason,
            "detail": letter.detail,
            "key": None if letter.key is None else text(letter.key),
            "bytes": letter.size,
            "at_ms": letter.at_ms,
            "replay": None
            if replay is None
            else {**replay.position._asdict(), "status": replay.status or "undecided"},
        }


@dataclass(frozen=True)
class Refusal:
    letter: DeadLetter
    why: str


def read_listed(spec: AgentJobSpec, since_ms: int | None = None) -> list[Listed]:
    """Every dead letter that is kept, with what became of it, by time."""
    letters = [letter_of(record) for record in read_topic(spec.kafka, spec.outputs.dead_letters, since_ms)]
    written = list(read_topic(spec.kafka, spec.feedback.replays))
    outcomes: list[Outcome] = []
    if letters and written:
        first = min(record.timestamp_ms for record in written) - SLACK_MS
        outcomes = [
            Outcome.model_validate_json(record.value or b"")
            for record in read_topic(spec.kafka, spec.outputs.outcomes, first)
        ]
    return listed(letters, replays_of(written, outcomes))


def letter_of(record: KeptRecord) -> DeadLetter:
    """Raises KeyError for a record that no agent wrote."""
    said = {name.removeprefix("headrace."): value.decode() for name, value in record.headers.items()}
    event = _position(said, "")
    return DeadLetter(
        place=record.position,
        event=event,
        origin=_position(said, "origin.") if "origin.topic" in said else event,
        reason=said["reason"],
        detail=said["detail"],
        at_ms=record.timestamp_ms,
        key=record.key,
        value=record.value,
    )


def replays_of(written: Iterable[KeptRecord], outcomes: Iterable[Outcome]) -> dict[Position, list[Replay]]:
    """By origin, in their order."""
    status = {Position(each.topic, each.partition, each.offset): each.status for each in outcomes}
    found: dict[Position, list[Replay]] = defaultdict(list)
    for record in sorted(written, key=lambda each: each.position):
        try:
            event = decode_replay(InputRecord(record.position, record.timestamp_ms, record.key, record.value))
        except ValueError:
            continue  # a dead letter of its own by now
        replay = Replay(record.position, event.position, status.get(record.position))
        found[event.position].append(replay)
    return found


def listed(letters: Iterable[DeadLetter], replays: Mapping[Position, Sequence[Replay]]) -> list[Listed]:
    return [
        Listed(letter, _next(letter, replays.get(letter.origin, ())))
        for letter in sorted(letters, key=lambda each: (each.at_ms, each.place))
    ]


def chosen(found: Sequence[Listed], numbers: Sequence[str], reason: str | None) -> list[Listed]:
    """The letters of these positions (``PARTITION@OFFSET``), or of a reason, or all.

    Of letters that are chosen by reason or all together, those that were replayed already are left out.
    Raises HeadraceError for a position at which there is none.
    """
    if not numbers:
        return [
            each for each in found if each.replay is None and (reason is None or each.letter.reason == reason)
        ]
    by_number = {each.letter.number: each for each in found}
    for number in numbers:
        if not re.fullmatch(r"\d+@\d+", number):
            raise HeadraceError(f"position: given {number}; allowed: PARTITION@OFFSET, as `list` shows it")
        if number not in by_number:
            raise HeadraceError(
                f"no dead letter at {number}; `headrace deadletters list` shows those there are. "
                "Nothing was replayed"
            )
    return [by_number[number] for number in dict.fromkeys(numbers)]


def refusals(spec: AgentJobSpec, picked: Iterable[Listed]) -> list[Refusal]:
    """Those that must not be replayed."""
    return [Refusal(each.letter, why) for each in picked if (why := _refused(spec, each.letter, each.replay))]


def replay_records(
    picked: Iterable[Listed], kafka_at_ms: Mapping[Position, int]
) -> list[tuple[bytes | None, bytes]]:
    """Keys and values for the replays topic, in the order of the events; one of an event's letters, the last.

    ``kafka_at_ms``: the events' Kafka times, where they are known; a letter's own time else.
    """
    last = {each.letter.origin: each.letter for each in sorted(picked, key=lambda each: each.letter.at_ms)}
    return [
        (
            letter.key,
            encode_replay(
                InputRecord(origin, kafka_at_ms.get(origin, letter.at_ms), letter.key, letter.value)
            ),
        )
        for origin, letter in sorted(last.items())
    ]


def kafka_times(spec: AgentJobSpec, picked: Sequence[Listed]) -> dict[Position, int]:
    """When the events of these letters came into Kafka, for those whose outcomes are still kept."""
    wanted = {each.letter.origin for each in picked}
    if not wanted:
        return {}
    since = min(each.letter.at_ms for each in picked) - SLACK_MS
    found: dict[Position, int] = {}
    for record in read_topic(spec.kafka, spec.outputs.outcomes, since):
        outcome = Outcome.model_validate_json(record.value or b"")
        position = outcome.position
        if position in wanted:
            found[position] = outcome.times.kafka_at_ms
    return found


def text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


def where(position: Position) -> str:
    return f"{position.topic}/{position.partition}@{position.offset}"


def _next(letter: DeadLetter, replays: Sequence[Replay]) -> Replay | None:
    return next(
        (each for each in replays if each.position > letter.event or letter.event == letter.origin), None
    )


def _refused(spec: AgentJobSpec, letter: DeadLetter, replay: Replay | None) -> str:
    """Empty when it may be replayed."""
    if letter.origin.topic == spec.feedback.replays:
        return f"it is no event: what stood at {where(letter.origin)} was no replay"
    if replay is not None:
        return _REPLAYED[replay.status].format(at=where(replay.position))
    if letter.size > spec.limits.max_event_bytes:
        return (
            f"it has {letter.size} bytes and would be too large again: declare limits.max_event_bytes of the "
            f"agent above its {spec.limits.max_event_bytes}, run `headrace up`, then replay it"
        )
    return ""


_REPLAYED: Mapping[Status | None, str] = {
    None: "its replay at {at} is not decided yet, or its outcome is no longer kept",
    "decided": "it was decided in its replay at {at}: once more would make its decisions twice",
    "erased": "its key was erased while its replay at {at} waited",
    "dead_lettered": "its replay at {at} became a dead letter again: replay that one",
}


def _position(said: Mapping[str, str], prefix: str) -> Position:
    return Position(said[f"{prefix}topic"], int(said[f"{prefix}partition"]), int(said[f"{prefix}offset"]))
