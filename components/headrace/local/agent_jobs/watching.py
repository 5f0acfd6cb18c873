"""A new version watched until it is healthy or has to be undone."""

from __future__ import annotations

import time
from collections.abc import Callable

from headrace.environment.duration import Duration
from headrace.errors import HeadraceError
from headrace.local.agent_jobs.deeds import Deeds, backlog
from headrace.local.agent_jobs.inputs import AgentJobInputs
from headrace.local.agent_jobs.job import AgentJob
from headrace.upgrades.conduct import Conduct
from headrace.upgrades.gate import Look, Verdict, judge
from headrace.upgrades.record import Cutover
from headrace.waiting import WaitCancelled, cancelled

LOOK_EVERY_S = 2.0


def watch(
    inputs: AgentJobInputs,
    job: AgentJob,
    before: Conduct,
    cutover: Cutover,
    seen: Callable[[Look, Verdict], None],
) -> Verdict:
    """The gate's last word: healthy or bad."""
    interval_s, deeds = _interval_s(inputs), Deeds(inputs.job_spec, cutover.outcomes, cutover.runs)
    began, looks = time.monotonic(), list[Look]()
    while True:
        look = _look(job, deeds, time.monotonic() - began)
        if look is not None:
            looks.append(look)
            verdict = judge(before, looks, inputs.healthy_for_s, interval_s)
            seen(look, verdict)
            if verdict.kind != "not yet":
                return verdict
        if cancelled.wait(LOOK_EVERY_S):
            raise WaitCancelled(f"cancelled while agent {inputs.name} is watched; run the command again")


def _look(job: AgentJob, deeds: Deeds, seconds: float) -> Look | None:
    """None where Flink or Kafka does not answer, or the job is being recovered: no fault of the version."""
    try:
        running = job.all()
        if not running:
            return None
        failures, failure = job.rest.failures(running[0].id)
        checkpoints = job.rest.completed_checkpoints(running[0].id)
        last_ms = job.rest.last_checkpoint_ms(running[0].id)
        waiting, conduct = backlog(deeds.spec), deeds.conduct()
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
    """Of checkpoints, as the job's options have it: Flink's way to write a duration has a blank before the
    unit."""
    interval = inputs.job_spec.flink_configuration.get("execution.checkpointing.interval")
    return Duration.parse(interval.replace(" ", "")).seconds if interval else 0.0
