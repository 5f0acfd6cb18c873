"""A new version proved on a snapshot of the old one's state, in a run of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from headrace.errors import HeadraceError
from headrace.local.agent_jobs.inputs import AgentJobInputs
from headrace.local.agent_jobs.releases import release_of
from headrace.local.verification import verify
from headrace_agents.verification import Finding, Report


class Refused(HeadraceError):
    """The new version can't read the state that there is."""

    def __init__(self, message: str, report: dict[str, Any]) -> None:
        super().__init__(message)
        self.report = report


Prove = Callable[[AgentJobInputs, str], dict[str, Any]]
"""Returns the report on a snapshot, whose path is given.

Raises Refused, and HeadraceError where the proof can't be made.
"""


def prove(inputs: AgentJobInputs, snapshot: str) -> dict[str, Any]:
    """By the code that the job would run: :func:`headrace.local.verification.verify`."""
    environment = inputs.environment | {"PYTHONPATH": str(release_of(inputs))}
    report = verify(inputs.files, inputs.model_copy(update={"environment": environment}), snapshot)
    found = report.model_dump(mode="json")
    if not report.is_proven:
        raise Refused("\n".join(_told(inputs.name, report)), found)
    return found


def _told(agent: str, report: Report) -> Iterator[str]:
    yield f"agent {agent}: the new version can't go on from the state that there is; the old one runs on:"
    for finding in report.failures:
        yield f"  {finding.kind}: {finding.reason} ({finding.total}{_examples(finding)})"
    yield (
        "A migration (`@migrates`) that takes these, or a default, is the way on; the whole report:"
        f" headrace upgrades show {agent} --json"
    )


def _examples(finding: Finding) -> str:
    keys = ", ".join(example.key for example in finding.examples)
    return f"; keys {keys}" if keys else ""
