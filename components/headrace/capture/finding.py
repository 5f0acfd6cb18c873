"""What a preflight found at a source: each flaw with what it leads to, and what mends it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
"""``error``: the connector fails, changes are lost, or it can stop the database. ``warning``: it works until
something happens. ``info``: something that could not be looked at, or that the connector does by itself."""


@dataclass(frozen=True)
class Mend:
    """What removes a flaw."""

    sql: tuple[str, ...] = ()
    """Statements for a role with the right to them, in this order, each in a transaction of its own."""
    safe: bool = False
    """Whether they may be run at any time: no restart, nothing lost, no lock that others wait for."""
    advice: str = ""
    """What SQL can't do, or what to know before running it."""


@dataclass(frozen=True)
class Flaw:
    """One thing that is not as it must be, as a check sees it."""

    severity: Severity
    found: str
    consequence: str
    mend: Mend = Mend()


@dataclass(frozen=True)
class Finding:
    """A flaw, and the check that found it."""

    check: str
    severity: Severity
    found: str
    consequence: str
    mend: Mend

    @classmethod
    def of(cls, check: str, flaw: Flaw) -> Finding:
        return cls(check, flaw.severity, flaw.found, flaw.consequence, flaw.mend)

    def __str__(self) -> str:
        lines = [f"{self.severity}: {self.check}: {self.found}: {self.consequence}"]
        lines += [f"  {statement};" for statement in self.mend.sql]
        lines += [f"  {self.mend.advice}"] if self.mend.advice else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """All that was found at one source."""

    source: str
    server: str
    """The server's version as it says it; empty where there was no connection."""
    passed: tuple[str, ...]
    """Checks that found nothing."""
    findings: tuple[Finding, ...]

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == severity)

    @property
    def failed(self) -> bool:
        return bool(self.of("error"))

    @property
    def safe_sql(self) -> tuple[str, ...]:
        """Statements that may be run at any time, each once."""
        return tuple(
            dict.fromkeys(
                statement
                for finding in self.findings
                if finding.mend.safe and finding.severity != "info"
                for statement in finding.mend.sql
            )
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"failed": self.failed}
