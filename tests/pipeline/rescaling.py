"""Another parallelism for a running job, through Flink's adaptive scheduler, with TaskManagers to match."""

from __future__ import annotations

import httpx

from headrace.local.flink_rest import Unreachable
from headrace.local.scaling.orders import orders
from headrace.local.scaling.taskmanagers import TaskManagers
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

RESCALED_WITHIN_S = 120


def rescale(stack: LiveStack, agent: str, parallelism: int) -> None:
    """Returns when every vertex of the agent's job runs with it.

    For a stack whose scaling is stopped: what scaling does for its slots is done here.
    """
    job = stack.job_ids()[agent]
    taskmanagers = TaskManagers(orders(stack.plan, str(stack.files.root), stack.flink.endpoint))
    others = sum(stack.flink.wanted_parallelism(id_) for id_ in stack.job_ids().values() if id_ != job)
    list(taskmanagers.start_for(others + parallelism))
    stack.flink.want_parallelism(job, parallelism)

    def rescaled() -> bool:
        try:
            running = stack.flink.all_running(job)
            return running and set(vertices(stack, job).values()) == {parallelism}
        except (httpx.HTTPError, Unreachable):
            return False

    until(
        f"{agent} with parallelism {parallelism}", rescaled, RESCALED_WITHIN_S, lambda: vertices(stack, job)
    )
    list(taskmanagers.stop_beyond(others + parallelism))


def vertices(stack: LiveStack, job: str) -> dict[str, int]:
    """Parallelism by vertex."""
    found = stack.rest(stack.flink.endpoint, f"/jobs/{job}")["vertices"]
    return {vertex["id"]: int(vertex["parallelism"]) for vertex in found}
