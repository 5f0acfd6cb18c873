"""`headrace memory`, with shards that answer at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.commands import memory as command
from headrace.commands.common import FAILED
from headrace.operations.erasure import ProvenErasure, Remains
from tests.unit.commands.conftest import Shards, run

MEMORY = {"key": [7], "memory": {"tickets_seen": 2}, "schema_version": 1, "written_at_ms": 5}
LINE = MEMORY | {"key": {"customer_id": 7}}
FOUND: list[dict[str, Any]] = [
    {"done": False, "memories": [MEMORY]},
    {"done": True, "counts": {"memories": 1}},
]


def test_a_memory_is_shown_with_its_key_by_field(shards: Shards) -> None:
    shards.reports = {5: FOUND}
    got = run("memory", "get", "support-triage", "customer_id=7", "--json")
    assert json.loads(got.stdout) == LINE
    assert shards.told[0].key == (7,)


def test_no_memory_is_a_failure_that_says_how_values_are_compared(shards: Shards) -> None:
    got = run("memory", "get", "support-triage", "customer_id=7")
    assert (got.exit_code, got.stdout) == (FAILED, "")
    assert "remembers nothing for customer_id=7" in got.stderr
    assert "not the text" in got.stderr


def test_a_memory_that_cannot_be_read_is_a_failure(shards: Shards) -> None:
    problem = {"what": "memory", "key": "[7]", "reason": "no integer"}
    shards.reports = {5: [{"done": False, "problems": [problem]}, {"done": True}]}
    got = run("memory", "get", "support-triage", "customer_id=7")
    assert (got.exit_code, got.stdout) == (FAILED, "")
    assert "no integer" in got.stderr


def test_an_export_is_a_line_for_each_memory_and_says_how_many(shards: Shards, tmp_path: Path) -> None:
    shards.reports = {5: FOUND, 6: FOUND}
    printed = run("memory", "export", "support-triage")
    assert [json.loads(line) for line in printed.stdout.splitlines()] == [LINE, LINE]
    assert printed.stderr == "support-triage: 2 memories\n"

    output = tmp_path / "memories.jsonl"
    said = run("memory", "export", "support-triage", "--output", str(output), "--json")
    assert json.loads(said.stdout)["memories"] == 2
    assert [json.loads(line) for line in output.read_text().splitlines()] == [LINE, LINE]


def test_an_export_overwrites_nothing(shards: Shards, tmp_path: Path) -> None:
    output = tmp_path / "memories.jsonl"
    output.write_text("mine")
    refused = run("memory", "export", "support-triage", "--output", str(output))
    assert refused.exit_code == FAILED
    assert "name a new file" in refused.stderr
    assert output.read_text() == "mine"


@pytest.fixture
def proven(monkeypatch: pytest.MonkeyPatch) -> None:
    remains = (Remains("topic: decisions", "support-triage.decisions", "7 days after it was written"),)
    monkeypatch.setattr(command, "prove", lambda *_: ProvenErasure("s3://savepoints/_erasures/a", remains))


def test_an_erasure_asks_first(shards: Shards) -> None:
    asked = run("memory", "erase", "support-triage", "customer_id=7", answer="n\n")
    assert asked.exit_code == FAILED
    assert "Erase all that support-triage has for customer_id=7?" in asked.output
    assert shards.told == []


@pytest.mark.usefixtures("proven")
def test_an_erasure_says_what_was_there_and_what_it_cannot_reach(shards: Shards) -> None:
    shards.reports = {5: [{"done": True, "counts": {"memories": 1, "events": 2, "reminders": 1}}]}
    erased = run("memory", "erase", "support-triage", "customer_id=7", "--yes")
    assert erased.exit_code == 0
    assert "erased for customer_id=7: 2 events, 1 memories, 1 reminders" in erased.stdout
    assert "s3://savepoints/_erasures/a" in erased.stdout
    assert "7 days after it was written" in erased.stdout

    said = json.loads(run("memory", "erase", "support-triage", "customer_id=7", "--yes", "--json").stdout)
    assert said["key"] == {"customer_id": 7}
    assert said["savepoint"] == "s3://savepoints/_erasures/a"
    assert said["remains"][0]["where"] == "support-triage.decisions"


@pytest.mark.usefixtures("proven")
def test_an_erasure_of_nothing_says_so(shards: Shards) -> None:
    erased = run("memory", "erase", "support-triage", "customer_id=7", "--yes")
    assert "there was nothing for customer_id=7" in erased.stdout


@pytest.mark.parametrize("key", ["id=7", "customer_id", "7"])
def test_a_key_with_other_fields_is_refused(key: str, shards: Shards) -> None:
    refused = run("memory", "erase", "support-triage", key, "--yes")
    assert refused.exit_code == FAILED
    assert "allowed: customer_id=VALUE" in refused.stderr
    assert shards.told == []
