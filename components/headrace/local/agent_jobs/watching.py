"""A new version watched until it is healthy or has to be undone."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from headrace.errors import HeadraceError
from headrace.local.agent_jobs.deeds import backlog, conduct_since
from headrace.local.agent_jobs.inputs import AgentJobInputs
from headrace.local.agent_jobs.job import AgentJob
from headrace.local.flink_rest import JobGone, Unreachable
from headrace.upgrades.conduct import Conduct
from headrace.upgrades.gate import Look, Verdict, judge
from headrace.upgrades.record import Cutover
from headrace.waiting import WaitCancelled, cancelled

LOOK_EVERY_S = 2.0
STARTED_TIMEOUT_S = 180.0
"""A job whose tasks do not all run by then counts as failing."""


def watch(
    inputs: AgentJobInputs,
    job: AgentJob,
    before: Conduct,
    cutover: Cutover,
    seen: Callable[[Look, Verdict], None],
) -> Verdict:
    """The gate's last word: healthy or bad."""
    interval_s = _interval_s(inputs)
    began, looks = time.monotonic(), list[Look]()
    while True:
        look = _look(inputs, job, cutover, time.monotonic() - began)
        looks.append(look)
        verdict = judge(before, looks, inputs.healthy_for_s, interval_s)
        seen(look, verdict)
        if verdict.kind != "not yet":
            return verdict
        if cancelled.wait(LOOK_EVERY_S):
            raise WaitCancelled(f"cancelled while agent {inputs.name} is watched; run the command again")


def _look(inputs: AgentJobInputs, job: AgentJob, cutover: Cutover, seconds: float) -> Look:
    failures, failure, checkpoints, age_s = 0, "", 0, seconds
    with suppress(Unreachable, JobGone):
        running = job.all()
        if running:
            failures, failure = job.rest.failures(running[0].id)
            checkpoints = job.rest.completed_checkpoints(running[0].id)
            last = job.rest.last_checkpoint_ms(running[0].id)
            if last is not None:
                age_s = min(age_s, max(0.0, time.time() - last / 1000))
    spec = inputs.job_spec
    waiting, conduct = 0, Conduct()
    with suppress(HeadraceError):  # Kafka is away for a moment: the next look sees all of it
        waiting = backlog(spec)
        conduct = conduct_since(spec, cutover.outcomes, cutover.runs)
    return Look(
        seconds=seconds,
        checkpoints=checkpoints,
        since_checkpoint_s=age_s,
        failures=failures,
        failure=failure,
        backlog=waiting,
        conduct=conduct,
    )


def _interval_s(inputs: AgentJobInputs) -> float:
    """Of checkpoints, as the job's options have it: a duration in ms, which the plan writes."""
    interval = str(inputs.spec["flink_configuration"].get("execution.checkpointing.interval", ""))
    digits = "".join(character for character in interval if character.isdigit())
    return int(digits) / 1000 if digits else 0.0
