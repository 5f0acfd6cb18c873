"""What was finished and written ahead is never done again; without it, no more than a checkpoint can miss."""

from __future__ import annotations

import json
import time

from headrace.operations.victims import WORKERS
from headrace_agents.records import Position, idempotency_key
from headrace_testing_agents.steps import STEPS
from tests.chaos.agents.conftest import MAY_FAIL
from tests.pipeline.commands import command, plan_of
from tests.pipeline.figures import figures
from tests.pipeline.injection import created, inject
from tests.pipeline.journals import fill, marks
from tests.pipeline.model import ScriptedModel
from tests.pipeline.offsets import ends
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import SIZES
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

SAVED, UNSAVED = "five-steps", "five-steps-unsaved"
TABLE, TOPIC = "public.cases", "support.public.cases"
CASE = 1
PATIENCE_S = 120
STEP_MS = 5_000
"""Longer than it takes to see that a step has begun and to kill the workers: none ends in between."""
INTO_STATE_MS = 2_000
"""A finished step is in the keyed state of its shard by then, and in every checkpoint that starts later."""
READ_AT_MOST = 0.01
"""Of what was in the journal before."""


def test_a_worker_that_dies_after_each_step_repeats_none_that_is_written_ahead(pipeline: Pipeline) -> None:
    stack, model = pipeline.stack, ScriptedModel(pipeline.stack)
    kept_until: list[tuple[int, int]] = []
    with model.behaving(latency_ms=STEP_MS):
        event = (json.dumps({"id": CASE}).encode(), created(TABLE, {"id": CASE, "note": "n"}))
        position = inject(stack.bootstrap_servers, TOPIC, {"a case": event})["a case"]
        for following in STEPS[1:]:
            # It has begun, so the one before it is acknowledged.
            key = step_key(SAVED, position, following)
            until(f"{following} goes on", lambda key=key: key in model.calls()["open_keys"], PATIENCE_S)  # type: ignore[misc]
            kept = checkpointed_at_ms(stack, UNSAVED)
            WORKERS.kill(stack.found)
            # The other agent's step may end while the workers are looked for: it has ended before this.
            kept_until.append((now_ms(), kept))
        pipeline.decide([position], PATIENCE_S)
    answers = model.answers()
    saved = {step: len(answers[step_key(SAVED, position, step)]) for step in STEPS}
    assert saved == dict.fromkeys(STEPS, 1)
    for step in STEPS:
        first, *again = answers[step_key(UNSAVED, position, step)]
        for answer in again:
            # What the first kill after it took away may be asked for again after several.
            lost_at = [kill for kill in kept_until if first.answered_at_ms < kill[0] < answer.received_at_ms]
            assert lost_at, f"{step} was repeated though nothing was killed"
            _, kept = min(lost_at)
            assert first.answered_at_ms > kept - INTO_STATE_MS, f"{step} was in the checkpoint of {kept}"
            first = answer
    pipeline.verify(may_fail=MAY_FAIL)


def test_a_restore_reads_only_the_tail_of_the_journal(pipeline: Pipeline) -> None:
    stack, plan = pipeline.stack, plan_of(pipeline.stack, SAVED)
    command(stack, SAVED, "check")  # from here on every shard is known, and notes how far its journal is
    fill(stack, plan, SIZES.journal_records)
    filled = ends(stack.bootstrap_servers, plan.spec.journal.topic)
    # Between two marks each shard has looked once.
    until(
        "every shard has seen the journal's end",
        lambda: min(marks(stack, plan, filled)[at] for at in filled) >= 2,
        PATIENCE_S,
        lambda: marks(stack, plan, filled),
    )
    checkpoints = stack.checkpoints_completed(SAVED)
    until("two checkpoints", lambda: stack.checkpoints_completed(SAVED) >= checkpoints + 2, PATIENCE_S)
    before = restores(stack, SAVED)
    WORKERS.kill(stack.found)
    until("restored", lambda: restores(stack, SAVED) > before, PATIENCE_S)
    until("all runs again", stack.jobs_running, PATIENCE_S)
    shards = plan.spec.shards
    until("every shard restored", lambda: figures(stack, SAVED, "shards") == {0: shards}, PATIENCE_S)
    read = figures(stack, SAVED, "journal_tail_records")[0]
    assert read <= READ_AT_MOST * SIZES.journal_records
    pipeline.verify(may_fail=MAY_FAIL)


def step_key(agent: str, position: Position, step: str) -> str:
    return idempotency_key(agent, f"[{CASE}]".encode(), position, step, 0)


def checkpointed_at_ms(stack: LiveStack, agent: str) -> int:
    """When the newest completed checkpoint started."""
    job = stack.job_ids()[agent]
    latest = stack.rest(stack.flink.endpoint, f"/jobs/{job}/checkpoints")["latest"]["completed"]
    return int(latest["trigger_timestamp"]) if latest else 0


def restores(stack: LiveStack, agent: str) -> int:
    """How often this JobManager has restored the agent."""
    found = stack.rest(stack.flink.endpoint, f"/jobs/{stack.job_ids()[agent]}/checkpoints")
    return int(found["counts"]["restored"])


def now_ms() -> int:
    return int(time.time() * 1000)
