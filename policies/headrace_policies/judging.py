"""Rules applied to resources: the one place where findings, unknown values and exceptions meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from headrace_policies.exceptions import Exemption, covering, exemptions
from headrace_policies.nodes import Unknown
from headrace_policies.rule import Rule
from headrace_policies.stacks import Case, Resource, Stack

Kind = Literal["violation", "undecided", "excepted"]


@dataclass(frozen=True)
class Finding:
    """What a rule says of a resource.

    ``undecided``: a value that the rule needs isn't known. ``excepted``: a violation within a declared
    exception.
    """

    rule: Rule
    resource: Resource
    kind: Kind
    message: str


def judge(rule: Rule, stack: Stack, config: Mapping[str, Any], today: date) -> Iterator[Finding]:
    """Every finding of `rule` on the resources it governs.

    Raises:
        ValueError: an exception is declared wrongly.
    """
    declared = exemptions(rule.id, config)
    for resource in stack.of(*rule.governs):
        seen = stack if rule.sees_stack else Stack((resource,))
        case = Case(resource, seen, rule.configured(config))
        yield from _with_exemptions(_findings(rule, case), declared, today)


def _findings(rule: Rule, case: Case) -> Iterator[Finding]:
    try:
        for message in rule.judge(case):
            yield Finding(rule, case.resource, "violation", message)
    except Unknown as unknown:
        yield Finding(rule, case.resource, "undecided", f"`{unknown.path}` is not known")


def _with_exemptions(
    findings: Iterable[Finding], declared: Iterable[Exemption], today: date
) -> Iterator[Finding]:
    for finding in findings:
        exemption = covering(declared, finding.resource.urn, finding.resource.name)
        if exemption is None or finding.kind != "violation":
            yield finding
        elif exemption.expired(today):
            text = f"{finding.message} (an exception ended on {exemption.until}: {exemption.reason})"
            yield Finding(finding.rule, finding.resource, "violation", text)
        else:
            yield Finding(finding.rule, finding.resource, "excepted", f"{exemption}; {finding.message}")
