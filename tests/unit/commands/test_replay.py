"""`headrace agents replay`, with topics in memory and, but for the last test, no agent's program."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.commands import rehearsals
from headrace.commands.common import FAILED
from headrace.local.topics import KeptRecord
from headrace.operations import rehearsals as operation
from headrace.operations.agent_settings import Version as SettingsVersion
from headrace.operations.rehearsals import Version
from headrace_agents.control import SettingsChange
from headrace_agents.records import Position
from headrace_agents.rehearsal_job import Decided, Event, Rehearsed
from headrace_agents.spec import ChatEndpointSpec
from tests.unit.commands.conftest import run

AGENT = "support-triage"
TOPIC = "support.public.tickets"


class Stage:
    """What each version would say, and what it was given."""

    def __init__(self) -> None:
        self.versions: list[Version] = []
        self.events: list[tuple[Event, ...]] = []
        self.cut_off = False

    def rehearsed(
        self, _python: Path, version: Version, events: tuple[Event, ...], *, run_tools: bool, heard: Any
    ) -> dict[Position, Rehearsed]:
        self.versions.append(version)
        self.events.append(events)
        is_new = len(self.versions) == 2
        return {event.record.position: self._of(event, is_new=is_new) for event in events}

    def _of(self, event: Event, *, is_new: bool) -> Rehearsed:
        at = event.record.position._asdict()
        if self.cut_off and event.offset == 0:
            return Rehearsed(**at, status="cut_off", detail="hold")
        urgency = "high" if is_new and event.offset % 2 else "low"
        decided = Decided(kind="TriageDecision", decision={"urgency": urgency})
        cost = 2_000_000 if is_new else 1_000_000
        return Rehearsed(
            **at,
            status="decided",
            decisions=(decided,),
            calls=1,
            tokens=10,
            picodollars=cost,
            ms=100 + event.offset,
        )


@pytest.fixture(autouse=True)
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage()
    records = [KeptRecord(Position(TOPIC, 0, n), 1_000 + n, b"k", b"v") for n in range(10)]
    kept = [SettingsVersion(SettingsChange(version=1, patch={"escalate_every": 5}), 1, "accepted")]
    monkeypatch.setattr(
        operation, "read_topic", lambda _kafka, topic, _since: records if topic == TOPIC else []
    )
    monkeypatch.setattr(rehearsals, "rehearsed", made.rehearsed)
    monkeypatch.setattr(rehearsals, "history", lambda _spec: kept)
    return made


def compared(*options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("agents", "replay", AGENT, *options, "--json").stdout)
    return found


def test_differences_are_counted_with_costs_and_latency_of_both(stage: Stage) -> None:
    said = compared("--set", "escalate_every=1")
    assert (said["events"], said["same"], said["different"]) == (10, 5, 5)
    assert [each["event"]["offset"] for each in said["differences"]] == [1, 3, 5, 7, 9]
    assert (said["now"]["usd"], said["new"]["usd"]) == (pytest.approx(1e-5), pytest.approx(2e-5))
    assert (said["now"]["p50_ms"], said["now"]["calls"]) == (104.5, 10)
    assert stage.events[0] == stage.events[1]


def test_the_other_version_starts_from_the_settings_in_force(stage: Stage) -> None:
    compared("--set", "remembered_urgencies=2")
    now, new = stage.versions
    assert now.patch == {"escalate_every": 5}
    assert new.patch == {"escalate_every": 5, "remembered_urgencies": 2}
    compared("--version", "0")
    assert stage.versions[-1].patch == {}


def test_another_endpoint_does_not_get_the_declared_ones_key(stage: Stage, tmp_path: Path) -> None:
    compared("--endpoint", "http://127.0.0.1:9/v1", "--model", "m")
    model = stage.versions[1].spec.model
    assert model is not None
    assert (model.endpoint, model.name, model.api_key_file) == ("http://127.0.0.1:9/v1", "m", None)
    compared("--endpoint", "http://127.0.0.1:9/v1", "--api-key-file", str(tmp_path / "key"))
    model = stage.versions[-1].spec.model
    assert model is not None
    assert model.api_key_file == str(tmp_path / "key")


def test_no_fallback_answers_in_place_of_another_model(stage: Stage) -> None:
    compared("--set", "a=1")
    spec = stage.versions[0].spec
    assert spec.model is not None
    fields = {name: getattr(spec.model, name) for name in ChatEndpointSpec.model_fields}
    fallback = ChatEndpointSpec(**fields | {"name": "b"})
    declared = spec.model.model_copy(update={"fallbacks": (fallback,)})
    other = rehearsals._other(spec.model_copy(update={"model": declared}), "c", None, None)
    assert other.model is not None
    assert [each.name for each in other.model.chain] == ["c"]


def test_the_newest_events_are_taken_and_only_of_the_agents_own_topics(stage: Stage) -> None:
    assert compared("--set", "a=1", "--limit", "3", "--from", TOPIC)["events"] == 3
    assert [event.offset for event in stage.events[0]] == [7, 8, 9]
    refused = run("agents", "replay", AGENT, "--set", "a=1", "--from", "elsewhere")
    assert refused.exit_code == FAILED
    assert f"allowed: {TOPIC}" in refused.stderr


def test_no_more_events_are_held_than_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[KeptRecord]] = []
    held: list[int] = []

    def read(*_: object) -> Iterator[KeptRecord]:
        for n in range(100):
            record = KeptRecord(Position(TOPIC, 0, n), n, b"k", b"v")
            made.append(weakref.ref(record))
            yield record
            held.append(sum(each() is not None for each in made))

    monkeypatch.setattr(operation, "read_topic", read)
    assert compared("--set", "a=1", "--limit", "3", "--from", TOPIC)["events"] == 3
    assert max(held) <= 5


def test_what_is_cut_off_is_no_difference_and_is_said(stage: Stage) -> None:
    stage.cut_off = True
    shown = run("agents", "replay", AGENT, "--set", "a=1", "--show", "1")
    assert "5 of 9 events are decided differently" in shown.stdout
    assert "1 of 5 differences" in shown.stderr
    assert "1 were cut off at hold" in shown.stderr


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "say what is new"),
        (["--version", "9"], "allowed: 0, 1"),
        (["--set", "a"], "FIELD=VALUE"),
        (["--set", "a=1", "--last", "soon"], "--last"),
    ],
)
def test_what_can_not_be_replayed_is_refused_before_anyone_is_asked(
    options: list[str], why: str, stage: Stage
) -> None:
    refused = run("agents", "replay", AGENT, *options)
    assert refused.exit_code == FAILED
    assert why in refused.stderr
    assert stage.versions == []
