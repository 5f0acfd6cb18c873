"""The command line: help with examples, exit codes, and where a message goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headrace.cli import app
from headrace.commands.common import DECLARATION_REFUSED, FAILED

COMMANDS = sorted(str(command.callback.__name__) for command in app.registered_commands if command.callback)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


@pytest.fixture
def in_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    return project


def tree(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_help_lists_every_command() -> None:
    listed = run("--help").output
    assert {"up", "down", "plan", "status", "watch", "preview", "clean"} <= set(COMMANDS)
    for command in COMMANDS:
        assert f" {command} " in listed


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_what_it_does_with_an_example(command: str) -> None:
    assert f"headrace {command}" in run(command, "--help").output


def test_without_a_command_there_is_help() -> None:
    assert "Usage" in run().output


@pytest.mark.parametrize("command", ["up", "down", "plan", "preview", "status"])
def test_a_bad_declaration_is_refused_and_nothing_is_touched(command: str, in_project: Path) -> None:
    declaration = in_project / "stacks" / "Pulumi.local.yaml"
    declaration.write_text(declaration.read_text().replace("max_replay: 10s", "max_replay: soon"))
    before = tree(in_project)

    refused = run(command)

    assert refused.exit_code == DECLARATION_REFUSED
    assert refused.stdout == ""
    assert "Pulumi.local.yaml" in refused.stderr
    assert "recovery.max_replay" in refused.stderr
    assert "soon" in refused.stderr
    assert tree(in_project) == before


def test_a_folder_without_a_project_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused = run("up")
    assert refused.exit_code == FAILED
    assert refused.stdout == ""
    assert refused.stderr.startswith("error: no Pulumi.yaml")


def test_an_unknown_stack_is_refused(in_project: Path) -> None:
    refused = run("plan", "--stack", "staging")
    assert refused.exit_code == FAILED
    assert "this project declares: dev, local, prod" in refused.stderr


def test_a_plan_for_programs_is_json(in_project: Path) -> None:
    printed = run("plan", "--json")
    assert printed.exit_code == 0
    assert json.loads(printed.stdout)["environment"] == "local"


def test_a_plan_for_people_has_reasons(in_project: Path) -> None:
    printed = run("plan")
    assert printed.exit_code == 0
    assert "support-triage" in printed.stdout


def test_clean_asks_first(in_project: Path) -> None:
    data = in_project / ".headrace" / "local" / "data"
    data.mkdir(parents=True)
    asked = CliRunner().invoke(app, ["clean"], input="n\n")
    assert asked.exit_code == FAILED
    assert "Remove" in asked.output
    assert data.exists()


def test_clean_removes_the_stacks_folder(in_project: Path) -> None:
    data = in_project / ".headrace" / "local" / "data"
    data.mkdir(parents=True)
    assert run("clean", "--yes").exit_code == 0
    assert not data.parent.exists()
