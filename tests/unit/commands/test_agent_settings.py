"""`headrace agents set|history|revert`, with a topic in memory and shards that answer at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.commands.common import FAILED
from headrace.local.topics import KeptRecord
from headrace.operations import agent_settings
from headrace_agents.control import SettingsChange
from headrace_agents.records import Position
from headrace_agents.spec import KafkaSpec
from tests.unit.commands.conftest import Shards, run

AGENT = "order-risk"
PROBLEM = {"what": "settings", "key": "1", "reason": "settings are wrong: held_above: too small"}


@pytest.fixture(autouse=True)
def topic(monkeypatch: pytest.MonkeyPatch) -> list[KeptRecord]:
    kept: list[KeptRecord] = []

    def write(
        _kafka: KafkaSpec, topic: str, records: list[tuple[bytes | None, bytes | None]]
    ) -> list[Position]:
        written = [
            KeptRecord(Position(topic, 0, len(kept) + n), 1_000 * (len(kept) + n), None, value)
            for n, (_, value) in enumerate(records)
        ]
        kept.extend(written)
        return [each.position for each in written]

    monkeypatch.setattr(agent_settings, "write", write)
    monkeypatch.setattr(agent_settings, "read_topic", lambda _kafka, _topic: iter(list(kept)))
    return kept


def cut_off(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """Sets it, by a command that ends before any shard has answered."""

    def tell(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("headrace.commands.agents.tell", tell)
        assert run("agents", "set", AGENT, change).exit_code == 130


def told(shards: Shards) -> list[tuple[int, dict[str, Any]]]:
    """Version and patch of each command."""
    return [(command.settings.version, command.settings.patch) for command in shards.told if command.settings]


def listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("agents", "history", AGENT, "--json").stdout)
    return found


def test_what_was_set_stays_until_it_is_put_back(shards: Shards, tmp_path: Path) -> None:
    prompt = tmp_path / "task.txt"
    prompt.write_text("Judge.\n")
    assert run("agents", "set", AGENT, "held_above=2500", "--why", "chargebacks").exit_code == 0
    assert run("agents", "set", AGENT, f"task=@{prompt}").exit_code == 0
    assert run("agents", "set", AGENT, "held_above=null", "limits.most=[1]").exit_code == 0

    assert told(shards) == [
        (1, {"held_above": 2500}),
        (2, {"held_above": 2500, "task": "Judge."}),
        (3, {"task": "Judge.", "limits": {"most": [1]}}),
    ]
    assert [each["why"] for each in listed()] == ["chargebacks", "", ""]
    table = run("agents", "history", AGENT).stdout
    assert table.count("in force") == 1
    assert "chargebacks" in table


def test_reverting_sets_what_was_before_as_a_new_version(shards: Shards) -> None:
    for value in (1, 2, 3):
        run("agents", "set", AGENT, f"held_above={value}")
    assert "version 4 is in force" in run("agents", "revert", AGENT).stdout
    run("agents", "revert", AGENT, "1")
    said = json.loads(run("agents", "revert", AGENT, "0", "--json").stdout)

    assert told(shards)[3:] == [(4, {"held_above": 2}), (5, {"held_above": 1}), (6, {})]
    assert (said["version"], said["patch"], said["why"]) == (6, {}, "as version 0")


def test_what_is_refused_is_in_the_history_and_not_in_force(shards: Shards) -> None:
    run("agents", "set", AGENT, "held_above=1")
    shards.reports = {0: [{"done": True, "problems": [PROBLEM]}], 1: [{"done": True, "problems": [PROBLEM]}]}
    refused = run("agents", "set", AGENT, "held_above=-1")
    shards.reports = {}
    run("agents", "set", AGENT, "payment_within_minutes=5")

    assert refused.exit_code == FAILED
    assert refused.stderr.count("held_above: too small") == 1
    assert "Nothing was changed" in refused.stderr
    assert [each["refused"] for each in listed()] == [None, PROBLEM["reason"], None]
    assert [each["state"] for each in listed()] == ["accepted", "refused", "accepted"]
    assert told(shards)[-1] == (3, {"held_above": 1, "payment_within_minutes": 5})


def test_a_change_is_in_the_history_before_anyone_is_told(
    shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the command be cut off, no decision has a version that nobody knows."""
    cut_off(monkeypatch, "held_above=1")
    assert [each["version"] for each in listed()] == [1]


def test_what_not_all_shards_are_known_to_have_taken_is_unconfirmed_and_nothing_builds_on_it(
    shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("agents", "set", AGENT, "held_above=1")
    cut_off(monkeypatch, "held_above=-1")
    table = run("agents", "history", AGENT).stdout
    assert (table.count("in force"), table.count("unconfirmed")) == (1, 1)
    run("agents", "set", AGENT, "payment_within_minutes=5")

    assert [each["state"] for each in listed()] == ["accepted", "unconfirmed", "accepted"]
    assert told(shards)[-1] == (3, {"held_above": 1, "payment_within_minutes": 5})
    assert "allowed: 0, 1, 3" in run("agents", "revert", AGENT, "2").stderr


def test_what_is_unconfirmed_can_be_reverted(shards: Shards, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some shards may have it."""
    cut_off(monkeypatch, "held_above=-1")
    run("agents", "revert", AGENT)
    assert told(shards) == [(2, {})]


def test_of_two_that_set_a_version_on_two_machines_one_is_told_to_run_it_again(
    shards: Shards, topic: list[KeptRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    write: Any = vars(agent_settings)["write"]

    def after_another(kafka: KafkaSpec, name: str, records: Any) -> list[Position]:
        if not topic:
            change = SettingsChange(version=1, patch={"held_above": 9}, by="another")
            write(kafka, name, [(None, json.dumps({"change": change.model_dump()}).encode())])
        written: list[Position] = write(kafka, name, records)
        return written

    monkeypatch.setattr(agent_settings, "write", after_another)
    refused = run("agents", "set", AGENT, "held_above=1")

    assert refused.exit_code == FAILED
    assert "somebody set version 1 meanwhile; run it again" in refused.stderr
    assert shards.told == []
    assert [(each["by"], each["patch"]) for each in listed()] == [("another", {"held_above": 9})]


@pytest.mark.parametrize(
    "changes",
    [
        ["held_above"],
        ["=1"],
        ["a..b=1"],
        ["task=@/nowhere/task.txt"],
        ["a=1", "a.b=2"],
        ["a.b=2", "a=1"],
        ["a=NaN"],
        ["a=[1e999]"],
        ['a="\\ud83d"'],
    ],
)
def test_what_is_no_change_is_refused_before_anything_is_written(
    changes: list[str], shards: Shards, topic: list[KeptRecord]
) -> None:
    refused = run("agents", "set", AGENT, *changes)
    assert (refused.exit_code, topic, shards.told) == (FAILED, [], [])
    assert "allowed: " in refused.stderr or "/nowhere/task.txt" in refused.stderr


def test_a_version_that_never_was_is_refused_with_those_that_were(shards: Shards) -> None:
    assert "nothing to revert" in run("agents", "revert", AGENT).stderr
    run("agents", "set", AGENT, "held_above=1")
    assert "allowed: 0, 1 (0 is what is declared)" in run("agents", "revert", AGENT, "7").stderr
    assert len(shards.told) == 1


def test_an_agent_whose_settings_were_never_set_says_so() -> None:
    assert "as declared, and always were" in run("agents", "history", AGENT).stdout
