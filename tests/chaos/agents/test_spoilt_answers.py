"""Answers that no model should give, one after the other, under load: no job ends, no event is lost."""

from __future__ import annotations

from headrace_agents.records import Outcome
from tests.chaos.agents.conftest import MAY_FAIL
from tests.pipeline.commands import plan_of
from tests.pipeline.journals import owners
from tests.pipeline.model import ScriptedModel
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import in_make_chaos_alone

AGENT = "chronicle"
SETTLED_WITHIN_S = 120
IN_TURN = 180
"""Spoilt answers that do not hang: as many as `headrace_agents.scripted_model.spoilt.IN_TURN`."""


@in_make_chaos_alone("that no spoilt answer ends a job")
def test_spoilt_answers_make_dead_letters_and_end_no_job(pipeline: Pipeline) -> None:
    model, plan = ScriptedModel(pipeline.stack), plan_of(pipeline.stack, AGENT)
    pipeline.settle()
    jobs, started = pipeline.stack.job_ids(), len(owners(pipeline.stack, plan))
    before = len(pipeline.ledger.book().agents[AGENT].outcomes)
    served = model.calls()["by_outcome"].get("spoilt", 0)
    with model.behaving(spoilt="in_turn"):
        pipeline.load.insert(2 * IN_TURN)
        book = pipeline.verify(SETTLED_WITHIN_S, may_fail=MAY_FAIL)
    outcomes = [Outcome.model_validate_json(each.value or b"") for each in book.agents[AGENT].outcomes]

    assert model.calls()["by_outcome"]["spoilt"] - served >= IN_TURN
    reasons = {each.reason for each in outcomes[before:] if each.status == "dead_lettered"}
    assert "model_error" in reasons
    assert reasons <= set(MAY_FAIL)
    assert pipeline.stack.job_ids() == jobs
    assert len(owners(pipeline.stack, plan)) == started
    (ticket,) = pipeline.load.insert(1)
    pipeline.verify(SETTLED_WITHIN_S, may_fail=MAY_FAIL)
    assert pipeline.ledger.has_decided(ticket)
