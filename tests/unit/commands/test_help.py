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


WITHOUT_AN_AGENT = {"backfill": "--source", "image": "--", "plugin": "--", "capture": ""}
"""Group -> what follows a command of it in its example."""


@pytest.mark.parametrize(("group", "command"), COMMANDS)
def test_each_command_says_what_it_does_with_an_example(group: str, command: str) -> None:
    example = f"headrace {group} {command} " + WITHOUT_AN_AGENT.get(group, "support-triage")
    assert example in run(group, command, "--help").output


def test_the_groups_are_those_that_were_agreed() -> None:
    of_agents = {"agents", "memory", "deadletters", "reviews", "state", "upgrades"}
    assert {group for group, _ in COMMANDS} == of_agents | WITHOUT_AN_AGENT.keys()
