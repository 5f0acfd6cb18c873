"""`headrace agents`, with shards that answer at once."""

from __future__ import annotations

import json

import pytest

from headrace.commands.common import FAILED
from tests.unit.commands.conftest import Shards, run

PROBLEM = {"what": "memory", "key": "[7]", "reason": "tickets_seen: no integer"}


@pytest.mark.parametrize("kind", ["pause", "resume", "drain", "check", "migrate"])
def test_a_command_goes_to_the_shards_and_says_so(kind: str, shards: Shards) -> None:
    done = run("agents", kind, "support-triage")
    assert done.exit_code == 0
    assert done.stdout.startswith("support-triage: ")
    assert [(command.kind, command.key) for command in shards.told] == [(kind, None)]


def test_for_programs_it_is_json_with_the_counts_of_all_shards(shards: Shards) -> None:
    shards.reports = {
        3: [{"done": True, "counts": {"memory": 2}}],
        9: [{"done": True, "counts": {"memory": 1}}],
    }
    said = json.loads(run("agents", "check", "support-triage", "--json").stdout)
    assert said == {
        "agent": "support-triage",
        "command": "check",
        "id": shards.told[0].id,
        "shards": 128,
        "counts": {"memory": 3},
        "problems": [],
    }


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_check_fails_when_something_is_unreadable(options: list[str], shards: Shards) -> None:
    shards.reports = {
        3: [{"done": False, "problems": [PROBLEM]}, {"done": True, "counts": {"memory": 1, "unreadable": 1}}]
    }
    failed = run("agents", "check", "support-triage", *options)
    assert failed.exit_code == FAILED
    assert "1 entries of state can't be read" in failed.stderr
    if options:
        assert json.loads(failed.stdout)["problems"] == [PROBLEM]
    else:
        assert "tickets_seen: no integer" in failed.stderr


def test_an_unknown_agent_is_refused_with_those_there_are() -> None:
    refused = run("agents", "pause", "nobody")
    assert refused.exit_code == FAILED
    assert refused.stderr == "error: no agent nobody; stack local declares: support-triage, order-risk\n"


def test_an_agent_that_does_not_run_is_refused_with_how_to_start_it() -> None:
    refused = run("agents", "pause", "support-triage")
    assert refused.exit_code == FAILED
    assert refused.stdout == ""
    assert "start it with `headrace up --stack local`. Nothing was changed" in refused.stderr


def test_a_bad_timeout_is_refused(shards: Shards) -> None:
    refused = run("agents", "pause", "support-triage", "--timeout", "soon")
    assert refused.exit_code == FAILED
    assert "--timeout: given soon; allowed" in refused.stderr
    assert shards.told == []
