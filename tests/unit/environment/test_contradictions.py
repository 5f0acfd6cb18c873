"""Fifty-six declarations whose facts can't both hold: each refusal names both with their numbers."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.environment import DeclarationError
from headrace.environment.problem import dotted
from tests.unit.environment.declarations import parsed, shipped

WORKLOAD: dict[str, Any] = {
    "events_per_second": 500,
    "keys": 10_000,
    "state_bytes_per_key": 4096,
    "model_latency": "2s",
}
WIDE: dict[str, Any] = {"parallelism_min": 4, "parallelism_max": 8}


def agent(**parts: dict[str, Any]) -> dict[str, Any]:
    """The first agent with 500 events/s, a 2 s model and subtasks for it, but for what is given."""
    declaration = shipped()
    first = declaration["agents"][0]
    first["workload"] = WORKLOAD | parts.get("workload", {})
    first["scaling"] = WIDE | parts.get("scaling", {})
    first["model"] = first["model"] | parts.get("model", {})
    first["limits"] = parts.get("limits", {})
    return declaration


def without_model(**parts: dict[str, Any]) -> dict[str, Any]:
    """The same without its model."""
    declaration = agent(**parts)
    del declaration["agents"][0]["model"], declaration["agents"][0]["workload"]["model_latency"]
    return declaration


def objectives(interval: str, max_replay: str) -> dict[str, Any]:
    declaration = shipped()
    declaration["checkpoints"] = {"interval": interval}
    declaration["recovery"]["max_replay"] = max_replay
    return declaration


FALLBACK = {"endpoint": "https://other.example/v1", "name": "other"}
RPM, CALLS = "agents[0].model.requests_per_minute", "agents[0].model.max_concurrency"
LEAST, MOST = "agents[0].scaling.parallelism_min", "agents[0].scaling.parallelism_max"
KEYS, LATENCY = "agents[0].workload.keys", "agents[0].workload.model_latency"
PER_EVENT, STATE = "agents[0].workload.model_calls_per_event", "agents[0].workload.state_bytes_per_key"
LIMITS, TIMEOUT, INTERVAL = "agents[0].limits", "agents[0].model.timeout", "checkpoints.interval"
BUDGET = "agents[0].model.budget"

CONTRADICTORY: tuple[tuple[dict[str, Any], str, tuple[str, ...]], ...] = (
    # The provider's limit is below the load.
    (
        agent(model={"requests_per_minute": 600}),
        RPM,
        ("600", "10 calls a second", "events_per_second 500", "2s", "1000 calls in flight"),
    ),
    (
        agent(model={"requests_per_minute": 29_999}),
        RPM,
        ("29999", "at least 30000", "events_per_second 500"),
    ),
    (
        agent(
            workload={"model_calls_per_event": 2, "events_per_second": 50},
            model={"requests_per_minute": 5999},
        ),
        RPM,
        ("5999", "at least 6000", "2 calls each", "events_per_second 50"),
    ),
    # Declared calls in flight are too few for Little's law.
    (agent(model={"max_concurrency": 999}), CALLS, ("999", "at least 1000", "events_per_second 500", "2s")),
    (
        agent(model={"max_concurrency": 8}, workload={"events_per_second": 9, "model_latency": "1s"}),
        CALLS,
        ("8", "at least 9", "events_per_second 9", "1s"),
    ),
    (
        agent(
            model={"max_concurrency": 100}, workload={"events_per_second": 100, "model_calls_per_event": 0.6}
        ),
        CALLS,
        ("100", "at least 120", "0.6 calls each"),
    ),
    # So are the subtasks' loops.
    (agent(scaling={"parallelism_min": 3}), LEAST, ("3", "768 calls in flight", "at least 4", "1000")),
    (
        agent(workload={"events_per_second": 1000, "keys": 10**6}),
        LEAST,
        ("4", "1024 calls in flight", "at least 8", "events_per_second 1000"),
    ),
    (
        agent(workload={"events_per_second": 10, "model_latency": "5m"}, scaling={"parallelism_min": 1}),
        LEAST,
        ("1", "256 calls in flight", "at least 12", "3000 calls in flight", "5m"),
    ),
    # One subtask is one thread.
    (
        without_model(workload={"events_per_second": 40_000}),
        MOST,
        ("8", "32000 events a second", "at least 10", "events_per_second 40000"),
    ),
    (
        without_model(
            workload={"events_per_second": 4_001}, scaling={"parallelism_min": 1, "parallelism_max": 1}
        ),
        MOST,
        ("1", "4000 events a second", "at least 2", "events_per_second 4001"),
    ),
    # A key's events are decided one after the other.
    (agent(workload={"keys": 999}), KEYS, ("999 at a time", "at least 1000", "events_per_second 500", "2s")),
    (
        agent(workload={"keys": 10, "events_per_second": 6, "model_calls_per_event": 3}),
        KEYS,
        ("10 at a time", "at least 36", "events_per_second 6", "3 calls each"),
    ),
    # A subtask without a key.
    (
        without_model(workload={"keys": 3}),
        LEAST,
        ("4", "at most workload.keys, 3"),
    ),
    (
        without_model(workload={"keys": 1}, scaling={"parallelism_min": 2}),
        LEAST,
        ("2", "at most workload.keys, 1"),
    ),
    # The runs under way are in the inbox.
    (
        agent(limits={"inbox_hard_events": 249}),
        f"{LIMITS}.inbox_hard_events",
        ("249", "at least 250", "1000 calls in flight", "4 subtasks"),
    ),
    (
        agent(limits={"inbox_soft_events": 100}),
        f"{LIMITS}.inbox_soft_events",
        ("100", "at least 250", "events_per_second 500", "4 subtasks"),
    ),
    (
        agent(limits={"inbox_soft_events": 1, "inbox_hard_events": 5000}),
        f"{LIMITS}.inbox_soft_events",
        ("1", "at least 250", "2s"),
    ),
    # An inbox that can't take one event.
    (
        agent(limits={"inbox_hard_bytes": 1000, "max_event_bytes": 1001}),
        f"{LIMITS}.inbox_hard_bytes",
        ("1000", "max_event_bytes, 1001"),
    ),
    (
        agent(limits={"inbox_hard_bytes": 4_194_304, "max_event_bytes": 8_388_608}),
        f"{LIMITS}.inbox_hard_bytes",
        ("4194304", "max_event_bytes, 8388608"),
    ),
    # Memory that is forgotten too soon.
    (
        agent(limits={"memory_expiry": "1m", "run_deadline": "2m"}),
        f"{LIMITS}.memory_expiry",
        ("1m", "run_deadline, 2m"),
    ),
    (
        agent(limits={"memory_expiry": "30s", "run_deadline": "30s"}),
        f"{LIMITS}.memory_expiry",
        ("30s", "run_deadline, 30s"),
    ),
    (
        agent(limits={"memory_expiry": "19s"}),
        f"{LIMITS}.memory_expiry",
        ("19s", "500 events a second", "9500 keys", "at least 20s", "workload.keys, 10000"),
    ),
    (
        without_model(workload={"keys": 10**6, "events_per_second": 1}, limits={"memory_expiry": "1h"}),
        f"{LIMITS}.memory_expiry",
        ("1h", "3600 keys", "at least 1000000s", "workload.keys, 1000000"),
    ),
    # Deadlines that no run meets.
    (agent(limits={"run_deadline": "2s"}), LATENCY, ("2s", "less than limits.run_deadline, 2s")),
    (agent(limits={"run_deadline": "1500ms"}), LATENCY, ("2s", "less than limits.run_deadline, 1500ms")),
    (
        agent(workload={"model_calls_per_event": 5, "events_per_second": 50}, limits={"run_deadline": "10s"}),
        PER_EVENT,
        ("5", "take 10 s", "model_latency of 2s", "run_deadline, 10s"),
    ),
    (
        agent(
            workload={"model_calls_per_event": 1.5, "events_per_second": 50}, limits={"run_deadline": "3s"}
        ),
        PER_EVENT,
        ("1.5", "take 3 s", "run_deadline, 3s"),
    ),
    (agent(model={"timeout": "2s"}), TIMEOUT, ("2s", "more than workload.model_latency, 2s")),
    (agent(model={"timeout": "500ms"}), TIMEOUT, ("500ms", "more than workload.model_latency, 2s")),
    (
        agent(model={"timeout": "31s"}, limits={"run_deadline": "30s"}),
        TIMEOUT,
        ("31s", "at most limits.run_deadline, 30s"),
    ),
    (
        agent(model={"timeout": "1h"}, limits={"run_deadline": "10m"}),
        TIMEOUT,
        ("1h", "at most limits.run_deadline, 10m"),
    ),
    # Bounds in the wrong order.
    (
        agent(limits={"inbox_soft_events": 4000, "inbox_hard_events": 3999}),
        f"{LIMITS}.inbox_soft_events",
        ("4000", "at most inbox_hard_events, 3999"),
    ),
    (agent(limits={"max_memory_bytes": 4095}), STATE, ("4096", "max_memory_bytes, 4095")),
    (
        agent(workload={"state_bytes_per_key": 2**20}, limits={"max_memory_bytes": 2**16}),
        STATE,
        ("1048576", "max_memory_bytes, 65536"),
    ),
    (agent(scaling={"parallelism_max": 3}), LEAST, ("4", "at most parallelism_max, 3")),
    (
        agent(scaling={"parallelism_min": 128, "parallelism_max": 127}),
        LEAST,
        ("128", "at most parallelism_max, 127"),
    ),
    (
        agent(model={"max_concurrency": 3}, workload={"events_per_second": 1}),
        CALLS,
        ("3", "at least scaling.parallelism_min, 4"),
    ),
    # Budgets.
    (agent(model={"budget": {"at_limit": "fail"}}), BUDGET, ("0 limits", "usd_per_day, tokens_per_day")),
    (agent(model={"budget": {"per_key": {}}}), f"{BUDGET}.per_key", ("0 limits", "at least one")),
    (
        agent(model={"budget": {"usd_per_day": 5}, "prices": None}),
        f"{BUDGET}.usd_per_day",
        ("5 without prices", "beside prices"),
    ),
    (
        agent(model={"budget": {"tokens_per_day": 4096}}),
        f"{BUDGET}.tokens_per_day",
        ("4096", "more than the 4096 tokens of max_output_tokens"),
    ),
    (
        agent(
            model={
                "budget": {"tokens_per_day": 10**6, "per_key": {"usd_per_day": 0.001}},
                "prices": {"input": 0, "output": 2.5},
                "max_output_tokens": 1000,
            }
        ),
        f"{BUDGET}.per_key.usd_per_day",
        ("0.001", "more than the 0.0025", "1000 tokens"),
    ),
    # Objectives.
    (objectives("11s", "10s"), INTERVAL, ("11s", "at most recovery.max_replay, 10s")),
    (objectives("1h", "59m"), INTERVAL, ("1h", "at most recovery.max_replay, 59m")),
    # What a failure leads to.
    (
        agent(model={"on_failure": {"timeout": "fall_back"}}),
        "agents[0].model.on_failure.timeout",
        ("fall_back", "0 fallbacks", "model.fallbacks"),
    ),
    *(
        (
            agent(model={"on_failure": {kind: "wait"}}),
            f"agents[0].model.on_failure.{kind}",
            ("`wait`", f"would be {kind} again"),
        )
        for kind in ("auth", "too_long", "refused")
    ),
    (
        agent(model={"on_failure": {"budget": "wait"}}),
        "agents[0].model.on_failure.budget",
        ("`wait`", "budget.at_limit `wait`"),
    ),
    (
        agent(model={"fallbacks": [FALLBACK | {"budget": {"usd_per_day": 5}}]}),
        "agents[0].model.fallbacks[0].budget.usd_per_day",
        ("5 without prices", "beside prices"),
    ),
    (
        agent(model={"fallbacks": [FALLBACK | {"budget": {"tokens_per_day": 10**6}}] * 2}),
        "agents[0].model.fallbacks[1].name",
        ("a second time", "a name of its own"),
    ),
    (
        agent(model={"hedge_after": "30s", "timeout": "20s"}),
        "agents[0].model.hedge_after",
        ("30s", "less than timeout, 20s"),
    ),
    (
        agent(model={"hedge_after": "5s", "max_attempts": 1}),
        "agents[0].model.hedge_after",
        ("5s", "max_attempts 1", "2 or more"),
    ),
    (
        agent(model={"fallbacks": [FALLBACK | {"timeout": "1s"}]}),
        "agents[0].model.fallbacks[0].timeout",
        ("1s", "model_latency, 2s"),
    ),
    (
        agent(model={"fallbacks": [FALLBACK, FALLBACK | {"max_concurrency": 3}]}),
        "agents[0].model.fallbacks[1].max_concurrency",
        ("3", "parallelism_min, 4"),
    ),
)


def test_there_are_fifty_six() -> None:
    assert len(CONTRADICTORY) == 56


def test_without_the_contradiction_the_declaration_is_accepted() -> None:
    assert parsed(agent()).agents[0].workload.calls_in_flight == 1_000
    assert parsed(without_model()).agents[0].model is None


@pytest.mark.parametrize(("declaration", "path", "said"), CONTRADICTORY)
def test_is_refused_with_both_facts(declaration: dict[str, Any], path: str, said: tuple[str, ...]) -> None:
    with pytest.raises(DeclarationError) as caught:
        parsed(declaration)
    refusals = [str(problem) for problem in caught.value.problems if dotted(problem.path) == path]
    assert any(all(part in refusal for part in said) for refusal in refusals), refusals
