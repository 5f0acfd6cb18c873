"""Recorded events through another version of a running agent: differences are shown, nothing is written."""

from __future__ import annotations

from tests.pipeline.plugin import Pipeline

AGENT = "support-triage"
TICKETS = 12
TIMEOUT_S = 90


def test_a_replay_shows_what_another_version_would_decide_and_touches_nothing(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    pipeline.load.insert(TICKETS)
    pipeline.settle(TIMEOUT_S)
    before = pipeline.ledger.book().agents[AGENT]
    known = len(before.outcomes), len(before.decisions), len(before.reviews)

    same = stack.json("agents", "replay", AGENT, "--set", "escalate_every=3", "--limit", "30", "--json")
    other = stack.json("agents", "replay", AGENT, "--set", "escalate_every=1", "--limit", "30", "--json")

    assert (same["different"], same["now"]["cut_off"]) == (0, 0)
    assert other["different"] > 0
    for each in other["differences"]:
        assert {said["kind"] for said in each["new"]["decisions"]} == {"TriageDecision", "Escalation"}
    assert other["new"]["calls"] > 0
    assert other["new"]["p50_ms"] is not None
    pipeline.settle(TIMEOUT_S)
    after = pipeline.ledger.book().agents[AGENT]
    assert (len(after.outcomes), len(after.decisions), len(after.reviews)) == known
    pipeline.verify()
