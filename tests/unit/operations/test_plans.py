"""``plan --diff``: compared with what ``up`` recorded, or with another declaration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headrace.cli import app
from headrace.commands.common import DECLARATION_REFUSED, FAILED
from headrace.operations.plans import record_plan
from headrace.operations.stack import Stack


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["plan", *arguments], env={"COLUMNS": "200"})


@pytest.fixture
def in_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    return project


def change(declaration: Path, old: str, new: str, to: Path | None = None) -> Path:
    text = declaration.read_text()
    assert old in text
    target = to or declaration
    target.write_text(text.replace(old, new))
    return target


def test_nothing_deployed_is_an_error_that_says_what_to_do(in_project: Path) -> None:
    refused = run("--diff", "deployed")
    assert refused.exit_code == FAILED
    assert "no `headrace up` of local has ended yet" in refused.stderr
    assert "--diff stacks/Pulumi.NAME.yaml" in refused.stderr


def test_what_was_deployed_is_compared_with_the_declaration(in_project: Path) -> None:
    stack = Stack.find("local")
    record_plan(stack)
    assert "No difference to deployed" in run("--diff", "deployed").stdout
    change(stack.declaration, "max_replay: 10s", "max_replay: 5s")
    told = json.loads(run("--diff", "deployed", "--json").stdout)
    (interval,) = (one for one in told if one["path"] == "flink.checkpoints.interval_ms")
    assert (interval["before"], interval["after"]) == (2_000, 1_000)
    assert "max_replay 5s" in interval["reason"]


def test_another_declaration_is_compared_whatever_its_name(in_project: Path, tmp_path: Path) -> None:
    declaration = in_project / "stacks" / "Pulumi.local.yaml"
    other = change(declaration, "max_outage: 10m", "max_outage: 20m", to=tmp_path / "other.yaml")
    told = {one["path"]: one for one in json.loads(run("--diff", str(other), "--json").stdout)}
    failures = told["flink.checkpoints.tolerable_failures"]
    assert (failures["before"], failures["after"]) == (600, 300)
    assert "environment" not in told


def test_a_file_that_is_not_there_is_refused(in_project: Path) -> None:
    refused = run("--diff", "nowhere.yaml")
    assert refused.exit_code == FAILED
    assert "given nowhere.yaml; allowed: `deployed`, or the path of a declaration" in refused.stderr


def test_another_declaration_that_is_wrong_is_refused(in_project: Path, tmp_path: Path) -> None:
    declaration = in_project / "stacks" / "Pulumi.local.yaml"
    other = change(declaration, "max_outage: 10m", "max_outage: soon", to=tmp_path / "other.yaml")
    refused = run("--diff", str(other))
    assert refused.exit_code == DECLARATION_REFUSED
    assert "recovery.max_outage" in refused.stderr


def test_values_are_told_one_by_one(in_project: Path) -> None:
    assert "What was traded" in run().stdout
    assert "value of" in run("--values").stdout
