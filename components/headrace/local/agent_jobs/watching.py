"""A new version watched until it is healthy or has to be undone."""

from __future__ import annotations

import time
from collections.abc import Callable

from headrace.errors import HeadraceError
from headrace.local.agent_jobs.deeds import backlog, conduct_since
from headrace.local.agent_jobs.inputs import AgentJobInputs
from headrace.local.agent_jobs.job import AgentJob
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
        if look is not None:
            looks.append(look)
            verdict = judge(before, looks, inputs.healthy_for_s, interval_s)
            seen(look, verdict)
            if verdict.kind != "not yet":
                return verdict
        if cancelled.wait(LOOK_EVERY_S):
            raise WaitCancelled(f"cancelled while agent {inputs.name} is watched; run the command again")


def _look(inputs: AgentJobInputs, job: AgentJob, cutover: Cutover, seconds: float) -> Look | None:
    """None where Flink or Kafka does not answer, or the job is being recovered: no fault of the version."""
    try:
        running = job.all()
        if not running:
            return None
        failures, failure = job.rest.failures(running[0].id)
        checkpoints = job.rest.completed_checkpoints(running[0].id)
        last_ms = job.rest.last_checkpoint_ms(running[0].id)
        waiting = backlog(inputs.job_spec)
        conduct = conduct_since(inputs.job_spec, cutover.outcomes, cutover.runs)
    except HeadraceError:
        return None
    since_ms = running[0].started_ms if last_ms is None else last_ms
    return Look(
        seconds=seconds,
        checkpoints=checkpoints,
        since_checkpoint_s=min(seconds, max(0.0, time.time() - since_ms / 1000)),
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
