"""What a connector is told, byte by byte, and that a backfill is started once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.local import signals
from headrace.local.provider import backfill
from headrace.local.provider.backfill import BackfillInputs, BackfillKind
from headrace.local.signals import SaidSignal, Signal, pause, read_signals, resume, start, stop
from headrace.local.topics import Broker, KeptRecord
from headrace_agents.records import Position

BROKER = Broker("none")
INPUTS = BackfillInputs(
    bootstrap_servers="none",
    topic="shop.signals",
    source="shop",
    id="again",
    tables=("public.orders", "public.payments"),
    where={"public.payments": "amount > 5"},
)


class Topic:
    """The signals of one source."""

    def __init__(self) -> None:
        self.said: list[Signal] = []

    def say(self, _broker: Broker, topic: str, source: str, said: list[Signal]) -> None:
        assert (topic, source) == ("shop.signals", "shop")
        self.said += said

    def read(self, _broker: Broker, _topic: str) -> list[SaidSignal]:
        return [SaidSignal(each, at) for at, each in enumerate(self.said)]


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    made = Topic()
    monkeypatch.setattr(backfill, "say", made.say)
    monkeypatch.setattr(backfill, "read_signals", made.read)
    return made


def test_the_signal_that_starts_a_backfill_is_debeziums() -> None:
    assert start("again", INPUTS.tables, INPUTS.where).encode() == (
        b'{"data": {"additional-conditions": [{"data-collection": "public.payments", "filter": '
        b'"amount > 5"}], '
        b'"data-collections": ["public.orders", "public.payments"], "type": "INCREMENTAL"},'
        b' "id": "again", "type": "execute-snapshot"}'
    )
    assert "additional-conditions" not in start("again", INPUTS.tables, {}).data


def test_other_signals_have_ids_of_their_own_and_say_whose_they_are() -> None:
    said = [pause("again"), stop("again", ["public.orders"]), resume("again"), pause("again")]
    assert len({each.id for each in said}) == len(said)
    assert {each.backfill for each in said} == {"again"}
    assert [each.type for each in said[:3]] == ["pause-snapshot", "stop-snapshot", "resume-snapshot"]
    assert said[1].tables == ("public.orders",)


def test_what_is_no_signal_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [None, b"", b"{", b"[]", b"7", b'{"id": "a"}', start("again", INPUTS.tables, {}).encode()]
    records = [
        KeptRecord(Position("shop.signals", 0, at), at, b"shop", value) for at, value in enumerate(values)
    ]
    monkeypatch.setattr(signals, "read_topic", lambda *_: iter(records))
    (only,) = read_signals(BROKER, "shop.signals")
    assert (only.signal.id, only.at_ms) == ("again", 6)


def test_a_backfill_is_started_once_however_often_it_is_created(topic: Topic) -> None:
    kind = BackfillKind()
    for _ in range(2):
        assert kind.create(INPUTS) == {"status": "told"}
    kind.delete(INPUTS)
    assert kind.create(INPUTS) == {"status": "told"}
    assert [each.id for each in topic.said] == ["again"]


def test_a_backfill_that_was_started_otherwise_is_refused_and_nothing_is_sent(topic: Topic) -> None:
    kind = BackfillKind()
    kind.create(INPUTS)
    changes: list[dict[str, Any]] = [{"tables": ("public.orders",)}, {"where": {}}]
    for change in changes:
        with pytest.raises(HeadraceError, match="declare this one with another id"):
            kind.update({}, INPUTS.model_copy(update=change))
    assert len(topic.said) == 1


def test_what_is_seen_of_a_backfill_is_what_its_topic_says(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = BackfillKind()
    assert kind.read(INPUTS) is None
    kind.create(INPUTS)
    assert kind.read(INPUTS) == {"status": "told"}

    def unreachable(*_: object) -> None:
        raise HeadraceError("Kafka does not answer")

    monkeypatch.setattr(backfill, "read_signals", unreachable)
    assert kind.read(INPUTS) == {"status": "unreachable"}


def test_a_signal_is_one_json_object() -> None:
    assert set(json.loads(pause("again").encode())) == {"id", "type", "data"}
