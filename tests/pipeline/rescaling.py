"""Another parallelism for a running job, through Flink's adaptive scheduler."""

from __future__ import annotations

import httpx

from headrace.local.flink_rest import Unreachable
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

RESCALED_WITHIN_S = 120


def rescale(stack: LiveStack, agent: str, parallelism: int) -> None:
    """Returns when every vertex of the agent's job runs with it."""
    job = stack.job_ids()[agent]
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


def vertices(stack: LiveStack, job: str) -> dict[str, int]:
    """Parallelism by vertex."""
    found = stack.rest(stack.flink.endpoint, f"/jobs/{job}")["vertices"]
    return {vertex["id"]: int(vertex["parallelism"]) for vertex in found}
