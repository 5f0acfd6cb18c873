"""Findings for people, for code hosts (SARIF 2.1.0) and for CI servers (JUnit)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from xml.etree import ElementTree as ET

from headrace_policies.judging import Finding
from headrace_policies.rule import Rule

Level = Literal["mandatory", "advisory", "disabled"]
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True)
class Judged:
    """A rule that was judged, at the level it was enforced at."""

    rule: Rule
    level: Level
    findings: tuple[Finding, ...]

    @property
    def stopping(self) -> list[Finding]:
        """What fails the check: violations, and what could not be judged, of a mandatory rule."""
        return [f for f in self.findings if f.kind != "excepted" and self.level == "mandatory"]


def text(judged: Sequence[Judged]) -> str:
    """A line for each finding, and a last one that counts."""
    lines = [
        f"{one.level:<10} {one.rule.id:<17} {finding.kind:<10} {finding.resource.name}: {finding.message}"
        for one in judged
        for finding in one.findings
    ]
    stopping = sum(len(one.stopping) for one in judged)
    rest = sum(len(one.findings) for one in judged) - stopping
    return "\n".join([*lines, f"{len(judged)} rules, {stopping} mandatory findings, {rest} others"])


def sarif(judged: Sequence[Judged], source: str) -> str:
    """One run; `source` is the file that was judged."""
    run: dict[str, Any] = {
        "tool": {
            "driver": {"name": "headrace-policies", "rules": [_sarif_rule(one.rule) for one in judged]},
        },
        "results": [_sarif_result(one, finding, source) for one in judged for finding in one.findings],
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.fix},
        "properties": {"tags": [rule.id, *rule.also], "severity": rule.severity},
    }


def _sarif_result(one: Judged, finding: Finding, source: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": one.rule.id,
        "level": "error" if finding in one.stopping else "note",
        "message": {"text": finding.message},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": source}},
                "logicalLocations": [{"fullyQualifiedName": finding.resource.urn, "kind": "resource"}],
            }
        ],
    }
    if finding.kind == "excepted":
        result["suppressions"] = [{"kind": "external", "justification": finding.message}]
    return result


def junit(judged: Sequence[Judged]) -> str:
    """A test case for each rule; advisory findings are its output."""
    failed = [one for one in judged if one.stopping]
    suite = ET.Element("testsuite", name="policies", tests=str(len(judged)), failures=str(len(failed)))
    for one in judged:
        case = ET.SubElement(suite, "testcase", classname="policies", name=f"{one.rule.id}: {one.rule.title}")
        said = "\n".join(f"{finding.resource.urn}: {finding.message}" for finding in one.findings)
        if one.stopping:
            ET.SubElement(case, "failure", message=f"{len(one.stopping)} findings").text = said
        elif said:
            ET.SubElement(case, "system-out").text = said
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
