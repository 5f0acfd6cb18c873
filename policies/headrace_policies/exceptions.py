"""Declared exceptions: one rule, one resource, a reason, a last day.

They stand in the configuration of the rule they except from, so none can reach further than that rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

OPTION = "exceptions"
SCHEMA: dict[str, Any] = {
    "type": "array",
    "description": "Resources that this rule is not enforced for, each with a reason and a last day.",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["resource", "until", "reason"],
        "properties": {
            "resource": {"type": "string", "description": "Name or URN of one resource; no patterns."},
            "until": {"type": "string", "format": "date", "description": "Last day, YYYY-MM-DD."},
            "reason": {"type": "string", "minLength": 10},
        },
    },
}


@dataclass(frozen=True)
class Exemption:
    """The rule is not enforced for this resource up to and including the day `until`."""

    rule: str
    resource: str
    until: date
    reason: str

    def covers(self, urn: str, name: str) -> bool:
        return self.resource in (urn, name)

    def expired(self, today: date) -> bool:
        return today > self.until

    def __str__(self) -> str:
        return f"{self.rule} is not enforced for {self.resource} until {self.until}: {self.reason}"


def exemptions(rule: str, config: Mapping[str, Any]) -> list[Exemption]:
    """Those declared in a rule's configuration.

    Raises:
        ValueError: one has no such fields, or its day is no date.
    """
    return [_exemption(rule, declared) for declared in config.get(OPTION, ())]


def _exemption(rule: str, declared: Mapping[str, Any]) -> Exemption:
    missing = [name for name in SCHEMA["items"]["required"] if not declared.get(name)]
    if missing:
        raise ValueError(f"{rule}: an exception lacks {', '.join(missing)}: {dict(declared)}")
    try:
        until = date.fromisoformat(declared["until"])
    except ValueError:
        raise ValueError(f"{rule}: an exception's `until` is YYYY-MM-DD, not {declared['until']!r}") from None
    return Exemption(rule, declared["resource"], until, declared["reason"])


def covering(declared: Iterable[Exemption], urn: str, name: str) -> Exemption | None:
    """The exception for a resource; of several the one that lasts longest."""
    return max((e for e in declared if e.covers(urn, name)), key=lambda e: e.until, default=None)
