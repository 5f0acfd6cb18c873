"""Settings of a running agent, changed without a restart: from the next event on, and refused when wrong."""

from __future__ import annotations

import json
from typing import Any

from tests.pipeline.plugin import Pipeline
from tests.pipeline.waiting import until

AGENT = "support-triage"
CUSTOMER = 6_660_000
TIMEOUT_S = 60


def decided(pipeline: Pipeline, ticket: int) -> list[dict[str, Any]]:
    """The ticket's decisions, once it is decided."""
    until(f"ticket {ticket} decided", lambda: pipeline.ledger.has_decided(ticket), TIMEOUT_S)
    decisions = [record.json for record in pipeline.ledger.book().agents[AGENT].decisions]
    return [each for each in decisions if each["decision"]["ticket_id"] == ticket]


def test_a_setting_holds_from_the_next_event_on_without_a_restart_and_can_be_reverted(
    pipeline: Pipeline,
) -> None:
    stack, customer = pipeline.stack, CUSTOMER
    jobs, restarts = stack.job_ids(), stack.restarts()
    known = len(stack.json("agents", "history", AGENT, "--json"))

    def open_ticket() -> list[dict[str, Any]]:
        (ticket,) = pipeline.load.insert(1, customer=customer)
        return decided(pipeline, ticket)

    (first,) = open_ticket()
    stack.succeed("agents", "set", AGENT, "escalate_every=1", "--why", "a test")
    escalated = open_ticket()
    assert {each["kind"] for each in escalated} == {"TriageDecision", "Escalation"}
    version = escalated[0]["settings_version"]
    assert version == first["settings_version"] + 1

    refused = stack.run("agents", "set", AGENT, "task=Judge {nobody}.")
    assert refused.code != 0
    assert "{nobody}" in refused.output
    assert {each["settings_version"] for each in open_ticket()} == {version}

    stack.succeed("agents", "revert", AGENT, "0")
    (last,) = [each for each in open_ticket() if each["kind"] == "TriageDecision"]
    assert last["settings_version"] > version
    history = stack.json("agents", "history", AGENT, "--json")[known:]
    assert [each["refused"] is None for each in history] == [True, False, True]
    assert [each["patch"] for each in history][::2] == [{"escalate_every": 1}, {}]
    assert (stack.job_ids(), stack.restarts()) == (jobs, restarts)
    pipeline.verify()
    assert json.dumps(history).count("a test") == 1
