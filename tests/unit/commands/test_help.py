"""Each command of each group says what it does, with an example."""

from __future__ import annotations

import pytest

from headrace.cli import app
from tests.unit.commands.conftest import run

COMMANDS = [
    (str(group.name), command.name or command.callback.__name__)
    for group in app.registered_groups
    if group.typer_instance is not None
    for command in group.typer_instance.registered_commands
    if command.callback is not None
]


@pytest.mark.parametrize(("group", "command"), COMMANDS)
def test_each_command_says_what_it_does_with_an_example(group: str, command: str) -> None:
    assert f"headrace {group} {command} support-triage" in run(group, command, "--help").output


def test_the_groups_are_those_that_were_agreed() -> None:
    assert {group for group, _ in COMMANDS} == {"agents", "memory", "deadletters", "reviews", "state"}
