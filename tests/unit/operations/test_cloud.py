"""`headrace up` and `preview` of a stack on AWS: the engine that is run, or the commands that are told."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headrace.cli import app
from headrace.commands.common import FAILED
from headrace.toolchain import pulumi_cli


@pytest.fixture
def calls(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a stand-in for Pulumi's CLI was called with, a line each."""
    written, folder = tmp_path / "calls", tmp_path / "bin"
    folder.mkdir()
    program = folder / "pulumi"
    program.write_text(f'#!/bin/sh\necho "$PULUMI_BACKEND_URL $*" >> {written}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(pulumi_cli, "ready", lambda: True)
    monkeypatch.setattr(pulumi_cli, "bin_folder", lambda: folder)
    # A real one beside this Python would be found first.
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    monkeypatch.chdir(project)
    return written


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def test_a_public_stack_is_brought_up_with_a_persons_own_backend(calls: Path, project: Path) -> None:
    done = run("up", "--stack", "dev", "--yes")
    assert done.exit_code == 0, done.output
    file = f"--config-file {project / 'stacks' / 'Pulumi.dev.yaml'}"
    assert calls.read_text().splitlines() == [
        f"s3://states --non-interactive stack select dev --create {file}",
        f"s3://states up --yes --stack dev {file}",
    ]


def test_it_asks_before_it_costs_money(calls: Path) -> None:
    assert run("up", "--stack", "dev").exit_code == 0
    assert " --yes " not in calls.read_text()


def test_a_private_stack_tells_the_commands_in_order_and_changes_nothing(calls: Path) -> None:
    told = run("up", "--stack", "prod")
    assert told.exit_code == FAILED
    assert "Nothing was changed" in told.stderr
    steps = [
        "up --stack prod-foundation",
        "stack init prod",
        "aws s3 cp program.zip",
        "aws codebuild start-build",
    ]
    assert sorted(steps, key=told.stderr.index) == steps
    assert not calls.exists()


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_both_are_previewed_from_here(calls: Path, stack: str) -> None:
    assert run("preview", "--stack", stack).exit_code == 0
    assert f"preview --diff --stack {stack} " in calls.read_text()


@pytest.mark.parametrize("command", ["down", "status", "watch", "env"])
def test_what_works_on_this_machine_alone_says_so(command: str, calls: Path) -> None:
    refused = run(command, "--stack", "dev")
    assert refused.exit_code == FAILED
    assert "environment dev is `aws`: this needs substrate.kind `local`" in " ".join(refused.stderr.split())
    assert not calls.exists()
