"""What a proof says of a version that can't go on from the state that there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headrace.errors import HeadraceError
from headrace_agents.verification import Finding, Report


class Refused(HeadraceError):
    """The new version can't read the state that there is."""

    def __init__(self, message: str, report: dict[str, Any]) -> None:
        super().__init__(message)
        self.report = report


def proven(agent: str, report: Report) -> dict[str, Any]:
    """The report as it is written down.

    Raises:
        Refused: it has failures.
    """
    found = report.model_dump(mode="json")
    if not report.is_proven:
        raise Refused("\n".join(_told(agent, report)), found)
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
