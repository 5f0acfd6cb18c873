"""Answers that no model should give, one after the other, under load: no job ends, no event is lost."""

from __future__ import annotations

from headrace_agents.records import Outcome
from tests.chaos.agents.conftest import MAY_FAIL
from tests.pipeline.commands import command, plan_of
from tests.pipeline.journals import owners
from tests.pipeline.model import ScriptedModel
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import in_make_chaos_alone
from tests.pipeline.waiting import until

AGENT = "chronicle"
TRANSACTIONS_PER_SECOND = 10
SENT_WITHIN_S, SETTLED_WITHIN_S = 120, 120
IN_TURN = 180
"""Spoilt answers that do not hang: as many as `headrace_agents.scripted_model.spoilt.IN_TURN`."""


@in_make_chaos_alone("that no spoilt answer ends a job")
def test_spoilt_answers_make_dead_letters_and_end_no_job(pipeline: Pipeline) -> None:
    model, plan = ScriptedModel(pipeline.stack), plan_of(pipeline.stack, AGENT)
    pipeline.settle()
    command(pipeline.stack, AGENT, "check")  # from here on every worker runs
    jobs, started = pipeline.stack.job_ids(), len(owners(pipeline.stack, plan))
    before = {each.position for each in pipeline.ledger.book().agents[AGENT].outcomes}
    sent_before = len(model.keys("spoilt"))

    def sent() -> int:
        return len(model.keys("spoilt")) - sent_before

    with model.behaving(spoilt="in_turn"), pipeline.load.running(TRANSACTIONS_PER_SECOND):
        # Each key is given the next one. Behind an open breaker runs may end before they ask.
        until("each was sent", lambda: sent() >= IN_TURN, SENT_WITHIN_S, sent)
    # What waits by then is answered: a refusal has left one call in flight, and no spoilt answer allows more.
    book = pipeline.verify(SETTLED_WITHIN_S, may_fail=MAY_FAIL)
    new = [each for each in book.agents[AGENT].outcomes if each.position not in before]
    outcomes = [Outcome.model_validate_json(each.value or b"") for each in new]

    reasons = {each.reason for each in outcomes if each.status == "dead_lettered"}
    assert "model_error" in reasons
    assert reasons <= set(MAY_FAIL)
    assert pipeline.stack.job_ids() == jobs
    assert len(owners(pipeline.stack, plan)) == started
    (ticket,) = pipeline.load.insert(1)
    book = pipeline.verify(SETTLED_WITHIN_S, may_fail=MAY_FAIL)
    assert ticket in {each.json["decision"].get("ticket_id") for each in book.agents[AGENT].decisions}
