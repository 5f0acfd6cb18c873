"""Rules as Pulumi's policies.

A policy's enforcement level is the pack's configuration's: ``all`` and single rules, from a file for each
environment. Without any, a rule is mandatory, but for those that are advisory by themselves.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyComplianceFramework,
    PolicyConfigSchema,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
    proxy,
)
from pulumi_policy.proxy import UnknownValueError

from headrace_policies import exceptions
from headrace_policies.frameworks import owner
from headrace_policies.judging import Finding, judge
from headrace_policies.nodes import UNKNOWN, Node
from headrace_policies.remedies import apply
from headrace_policies.rule import Rule
from headrace_policies.stacks import Resource, Stack, canonical

NAME = "headrace-policies"
DRY_RUN = "PULUMI_DRY_RUN"
"""Environment variable that is true in a preview."""
IN_USE = "HR-EXCEPTIONS"
"""The advisory policy that prints every exception that an update made use of."""


class Register:
    """Exceptions that were made use of, until they are printed."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], str] = {}

    def note(self, finding: Finding) -> None:
        self._used[finding.rule.id, finding.resource.urn] = finding.message

    def report(self, _args: StackValidationArgs, report: ReportViolation) -> None:
        for (_, urn), message in self._used.items():
            report(message, urn)


def policies(rules: Iterable[Rule], today: date | None = None) -> list[Policy]:
    """A policy for each rule, and the one that prints exceptions in use; `today` is the day of UTC.

    Building policies starts no server; building a `PolicyPack` of them does.
    """
    day = today or datetime.now(UTC).date()
    register = Register()
    made = [_policy(rule, register, day) for rule in rules]
    printing = StackValidationPolicy(
        name=IN_USE,
        description="Exceptions that are in use.",
        validate=register.report,
        enforcement_level=EnforcementLevel.ADVISORY,
        severity=Severity.LOW,
    )
    return [*made, printing]


def _policy(rule: Rule, register: Register, today: date) -> Policy:
    def on_resource(args: ResourceValidationArgs, report: ReportViolation) -> None:
        _report(judge(rule, Stack((_resource(args),)), args.get_config(), today), report, register)

    def on_stack(args: StackValidationArgs, report: ReportViolation) -> None:
        stack = Stack(tuple(_resource(resource) for resource in args.resources))
        _report(judge(rule, stack, args.get_config(), today), report, register)

    def remediate(args: ResourceValidationArgs) -> Any:
        return _remedied(rule, args, today)

    common: dict[str, Any] = {
        "name": rule.id,
        "description": f"{rule.title}.",
        "config_schema": schema(rule),
        "display_name": rule.title,
        "severity": Severity(rule.severity),
        "framework": PolicyComplianceFramework(name=owner(rule.id), reference=rule.id),
        "tags": [f"{owner(control)}: {control}" for control in (rule.id, *rule.also)],
        "remediation_steps": rule.fix,
    }
    if rule.advisory:
        common["enforcement_level"] = EnforcementLevel.ADVISORY
    if rule.sees_stack:
        return StackValidationPolicy(validate=on_stack, **common)
    remedy = remediate if rule.remedy else None
    return ResourceValidationPolicy(validate=on_resource, remediate=remedy, **common)


def schema(rule: Rule) -> PolicyConfigSchema:
    """JSON schema of a rule's configuration, its defaults in it."""
    options = {
        name: {**option.schema, "default": _plain(option.default)} for name, option in rule.options.items()
    }
    return PolicyConfigSchema(properties={**options, exceptions.OPTION: exceptions.SCHEMA})


def _report(findings: Iterable[Finding], report: ReportViolation, register: Register) -> None:
    """Report violations, note exceptions; what isn't known is told in a preview and a violation at an update.

    Raises:
        UnknownValueError: in a preview; the SDK makes an advisory note of it, whatever the rule's level.
    """
    undecided = []
    for finding in findings:
        if finding.kind == "excepted":
            register.note(finding)
        elif finding.kind == "violation":
            report(finding.message, finding.resource.urn)
        elif is_preview():
            undecided.append(f"{finding.resource.name}: {finding.message} before the update, which judges it")
        else:
            report(f"{finding.message}, so the rule can't be judged", finding.resource.urn)
    if undecided:
        raise _undecided(undecided)


def _undecided(messages: list[str]) -> UnknownValueError:
    error = UnknownValueError(proxy.UNKNOWN_STRING_VALUE, [])
    error.message = "; ".join(messages)
    return error


MARKS = frozenset(value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_"))
"""What stands for unknown values where the SDK does not raise: in remediations."""


def is_preview() -> bool:
    """As the engine has said; where nobody has, an unknown value must not pass."""
    return os.environ.get(DRY_RUN, "false").lower() in ("true", "1")


def _remedied(rule: Rule, args: ResourceValidationArgs, today: date) -> Mapping[str, Any] | None:
    """The mended properties of a resource that is at fault and not excepted; None leaves it as it is."""
    findings = list(judge(rule, Stack((_resource(args),)), args.get_config(), today))
    if rule.remedy is None or not any(finding.kind == "violation" for finding in findings):
        return None
    apply(args.props, list(rule.remedy(_resource(args).properties)))
    return args.props


def _resource(given: ResourceValidationArgs | PolicyResource) -> Resource:
    related = given.property_dependencies if isinstance(given, PolicyResource) else {}
    return Resource(
        urn=given.urn,
        kind=canonical(given.resource_type),
        name=given.name,
        properties=Node(readable(given.props)),
        depends={key: tuple(other.urn for other in others) for key, others in related.items()},
    )


def readable(properties: Any) -> Any:
    """The SDK's proxies as plain values, UNKNOWN where they would raise; assets stay what they are."""
    if isinstance(properties, Mapping):
        return {str(key): _readable_at(properties, key) for key in properties}
    if isinstance(properties, str) and properties in MARKS:
        return UNKNOWN
    if isinstance(properties, str | bytes) or not hasattr(properties, "__len__"):
        return properties
    return [_readable_at(properties, at) for at in range(len(properties))]


def _readable_at(container: Any, key: Any) -> Any:
    try:
        return readable(container[key])
    except UnknownValueError:
        return UNKNOWN


def _plain(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default
