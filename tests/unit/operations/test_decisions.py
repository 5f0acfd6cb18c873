"""Outcomes and decisions come by different topics, and leave together."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headrace.operations.decisions import Decided, Pairing, Record


def outcome(name: str, *decisions: str) -> Record:
    return {"name": name, "decisions": list(decisions)}


def decision(name: str) -> Record:
    return {"id": name}


def names(complete: list[tuple[Record, tuple[Record, ...]]]) -> list[tuple[str, tuple[str, ...]]]:
    return [(o["name"], tuple(d["id"] for d in decisions)) for o, decisions in complete]


def test_an_outcome_waits_for_the_last_of_its_decisions() -> None:
    pairing = Pairing()
    pairing.add_outcome(outcome("a", "1", "2"))
    assert pairing.complete() == []
    pairing.add_decision(decision("2"))
    assert pairing.complete() == []
    pairing.add_decision(decision("1"))
    assert names(pairing.complete()) == [("a", ("1", "2"))]
    assert pairing.complete() == []


def test_an_outcome_without_decisions_waits_for_nothing() -> None:
    pairing = Pairing()
    pairing.add_outcome(outcome("a"))
    assert names(pairing.complete()) == [("a", ())]


def test_an_incomplete_outcome_holds_up_no_other() -> None:
    pairing = Pairing()
    pairing.add_outcome(outcome("a", "1"))
    pairing.add_outcome(outcome("b"))
    assert names(pairing.complete()) == [("b", ())]


@given(st.lists(st.integers(0, 3), max_size=6), st.randoms(use_true_random=False))
def test_in_any_order_of_arrival_every_outcome_leaves_once_with_its_decisions(
    sizes: list[int], random: Any
) -> None:
    outcomes = [outcome(str(n), *(f"{n}.{i}" for i in range(size))) for n, size in enumerate(sizes)]
    records = [*outcomes, *(decision(d) for o in outcomes for d in o["decisions"])]
    random.shuffle(records)
    pairing, left = Pairing(), []
    for record in records:
        (pairing.add_decision if "id" in record else pairing.add_outcome)(record)
        left += names(pairing.complete())
    assert sorted(left) == sorted((o["name"], tuple(o["decisions"])) for o in outcomes)
    assert (pairing.waiting, pairing.decisions) == ([], {})


def test_latency_is_counted_from_the_commit_where_one_is_known() -> None:
    assert Decided({"times": {"committed_at_ms": 1_000}}, (), 1_250).latency_ms == 250
    assert Decided({"times": {"committed_at_ms": None}}, (), 1_250).latency_ms is None
