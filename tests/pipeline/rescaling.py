"""Another parallelism for a running job, through Flink's adaptive scheduler."""

from __future__ import annotations

import httpx

from headrace.local.flink_rest import Unreachable
from headrace.local.objects import TIMEOUT_S
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

RESCALED_WITHIN_S = 120


def rescale(stack: LiveStack, agent: str, parallelism: int) -> None:
    """Returns when every vertex of the agent's job runs with it."""
    job = stack.job_ids()[agent]
    bounds = {"parallelism": {"lowerBound": 1, "upperBound": parallelism}}
    wanted = dict.fromkeys(vertices(stack, job), bounds)
    url = f"{stack.flink.endpoint}/jobs/{job}/resource-requirements"
    httpx.put(url, json=wanted, timeout=TIMEOUT_S, trust_env=False).raise_for_status()

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
