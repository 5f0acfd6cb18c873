"""`headrace trace`, with a topic in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.commands.common import FAILED
from headrace.local.topics import KeptRecord
from headrace.operations import traces
from headrace_agents.records import EventRef, Position
from headrace_agents.run_log import RunLog, StepLog, run_id
from headrace_agents.spec import KafkaSpec
from tests.unit.commands.conftest import run

AGENT = "support-triage"
EVENT = Position("support.public.tickets", 0, 5)
ID = run_id(AGENT, EVENT)


def step(name: str, began: int, ended: int, **more: Any) -> StepLog:
    return StepLog(name=name, started_at_ms=began, finished_at_ms=ended, **{"kind": "model", **more})


STEPS = (
    step("tool:look#0/bank#0", 1_300, 1_350, kind="step"),
    step("tool:look#0", 1_250, 1_400, kind="tool", read_back=False),
    step(
        "model#0",
        1_000,
        1_200,
        attempts=2,
        model="m",
        input_tokens=100,
        output_tokens=50,
        picodollars=45_000_000,
        prompt=[{"role": "user", "content": "which [queue]?"}],
        answer="billing",
    ),
    step("model#1", 1_400, 1_900, attempts=1, error="overloaded"),
    step("again#0", 1_900, 1_901, model="small", cached=True),
)


def log(position: Position, began: int, ended: int, **more: Any) -> RunLog:
    return RunLog(
        id=run_id(AGENT, position),
        agent=AGENT,
        key_hash="00",
        event=EventRef(**position._asdict()),
        accepted_at_ms=began - 10,
        started_at_ms=began,
        finished_at_ms=ended,
        **{"status": "decided", "decisions": 1, **more},
    )


@pytest.fixture(autouse=True)
def topic(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [
        log(EVENT, 1_000, 2_000, steps=STEPS, status="dead_lettered", reason="model_error", decisions=0),
        log(EVENT._replace(offset=6), 500, 600),
        log(EVENT._replace(offset=7), 3_000, 3_100, settings_version=2, truncated=True),
    ]

    def read(_kafka: KafkaSpec, name: str, _since: int | None) -> Any:
        assert name == f"{AGENT}.runs"
        return (KeptRecord(Position(name, 0, n), 0, None, each.encode()) for n, each in enumerate(kept))

    monkeypatch.setattr(traces, "read_topic", read)


def listed(*options: str) -> list[int]:
    """Offsets of the runs' events."""
    found = json.loads(run("trace", AGENT, *options, "--json").stdout)
    return [each["event"]["offset"] for each in found]


def test_the_newest_runs_are_listed_by_the_time_of_their_start() -> None:
    assert listed() == [6, 5, 7]
    assert listed("--limit", "2") == [5, 7]
    assert listed("--failed") == [5]
    assert listed("--slower-than", "500ms") == [5]
    table = run("trace", AGENT).stdout
    for word in (ID[:12], "model_error", "0.000045", "150"):
        assert word in table


@pytest.mark.parametrize("wanted", [ID, ID[:6], "support.public.tickets/0@5"])
def test_a_run_is_a_tree_of_its_steps(wanted: str) -> None:
    lines = run("trace", AGENT, wanted).stdout.splitlines()
    assert "model_error, 1000 ms after 10 ms in the inbox" in lines[0]
    names = [next(w for w in line.split() if "#" in w) for line in lines if "#" in line]
    assert names == ["model#0", "tool:look#0", "bank#0", "model#1", "again#0"]
    indent = {name: line.index(name) for line in lines for name in names if name in line}
    assert indent["bank#0"] > indent["tool:look#0"] == indent["model#0"]
    shown = "\n".join(lines)
    assert "m 2 attempts, 100+50 tokens, 0.000045 usd" in shown
    assert "small cached" in shown
    assert "which [queue]?" in shown
    assert "overloaded" in shown


def test_a_run_that_was_too_long_to_be_told_whole_says_so() -> None:
    assert "told whole" not in run("trace", AGENT, ID).stdout
    assert "told whole" in run("trace", AGENT, "support.public.tickets/0@7").stdout


def test_a_run_for_programs_is_what_the_topic_has() -> None:
    assert json.loads(run("trace", AGENT, ID, "--json").stdout)["steps"][2]["attempts"] == 2


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("xyz", "allowed: 4 or more digits"),
        ("ffff", "has no such run"),
        ("support.public.tickets/0@99", "has no such run"),
    ],
)
def test_what_is_no_run_is_refused(wanted: str, why: str) -> None:
    refused = run("trace", AGENT, wanted)
    assert refused.exit_code == FAILED
    assert why in refused.stderr
