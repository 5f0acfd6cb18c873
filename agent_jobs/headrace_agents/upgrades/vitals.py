"""How an agent's job does, as its Flink's REST interface has it.

https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/rest_api/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict

TERMINAL = frozenset({"FINISHED", "CANCELED", "FAILED"})
"""States of a job that has ended."""
_ERROR = re.compile(r"(Caused by: )?[\w.$]+(Error|Exception)\b")

Get = Callable[[str], dict[str, Any]]
"""What Flink answers at a path; it raises where Flink does not answer."""


class Vitals(BaseModel):
    """Of a job that runs or is being recovered."""

    model_config = ConfigDict(frozen=True)

    failures: int
    """That the JobManager keeps of the job."""
    failure: str
    """The first line of the latest one's cause."""
    checkpoints: int
    """Completed."""
    checkpoint_ms: int
    """When the newest one was acknowledged, or else the job was started; milliseconds since the epoch."""


def vitals(get: Get, agent: str) -> Vitals | None:
    """Of the agent's newest job; None where Flink has none."""
    jobs = [
        each
        for each in get("/jobs/overview")["jobs"]
        if each["name"] == agent and each["state"] not in TERMINAL
    ]
    if not jobs:
        return None
    job = max(jobs, key=lambda each: int(each["start-time"]))
    failures = get(f"/jobs/{job['jid']}/exceptions")["exceptionHistory"]["entries"]
    checkpoints = get(f"/jobs/{job['jid']}/checkpoints")
    latest = checkpoints["latest"]["completed"]
    return Vitals(
        failures=len(failures),
        failure=_cause(str(failures[0]["stacktrace"])) if failures else "",
        checkpoints=int(checkpoints["counts"]["completed"]),
        checkpoint_ms=int(latest["latest_ack_timestamp"] if latest else job["start-time"]),
    )


def _cause(stack_trace: str) -> str:
    """The last error that a stack trace names: of Python's traceback its last line, of Java's the root."""
    errors = [line.strip() for line in stack_trace.splitlines() if _ERROR.match(line.strip())]
    return errors[-1][:500] if errors else stack_trace.partition("\n")[0][:500]
