"""A saved state is judged without an engine; exit status and reports say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from headrace_policies import RULES
from headrace_policies.check import FOUND, PASSED, WRONG, main

ENVIRONMENTS = Path(__file__).parents[2] / "policies" / "environments"
PROD = ENVIRONMENTS / "prod.json"
TAGS = {"environment": "prod", "owner": "orders", "cost-centre": "4711"}
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:..."}


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def key(name: str, **inputs: Any) -> dict[str, Any]:
    kind = "aws:kms/key:Key"
    return {
        "urn": f"urn:pulumi:prod::orders::{kind}::{name}",
        "type": kind,
        "id": name,
        "inputs": {"tags": TAGS} | inputs,
        "outputs": {"enableKeyRotation": False},
    }


def state(folder: Path, *resources: dict[str, Any]) -> Path:
    return write(folder / "state.json", {"version": 3, "deployment": {"resources": list(resources)}})


def test_a_good_state_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(state(tmp_path, key("good", enableKeyRotation=True))), "--config", str(PROD)]) == PASSED
    assert capsys.readouterr().out == f"{len(RULES)} rules, 0 mandatory findings, 0 others\n"


def test_a_bad_one_fails_in_prod_and_is_told_in_dev(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = str(state(tmp_path, key("bad", enableKeyRotation=False)))
    assert main([given, "--config", str(PROD)]) == FOUND
    assert "bad: `enableKeyRotation` is false" in capsys.readouterr().out
    assert main([given, "--config", str(ENVIRONMENTS / "dev.json")]) == PASSED
    assert "bad: `enableKeyRotation` is false" in capsys.readouterr().out


def test_what_is_encrypted_does_not_pass_silently(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = state(tmp_path, key("secret", enableKeyRotation=SECRET))
    assert main([str(given)]) == FOUND
    assert "secret: `enableKeyRotation` is not known" in capsys.readouterr().out


def test_reports_name_rule_resource_and_level(tmp_path: Path) -> None:
    given = state(tmp_path, key("bad", enableKeyRotation=False), key("old", enableKeyRotation=False))
    exception = {"resource": "old", "until": "2999-01-01", "reason": "imported material"}
    config = write(tmp_path / "config.json", {"all": "mandatory", "KMS.4": {"exceptions": [exception]}})
    sarif, junit = tmp_path / "out.sarif", tmp_path / "junit.xml"
    given_reports = ["--sarif", str(sarif), "--junit", str(junit)]
    assert main([str(given), "--config", str(config), *given_reports]) == FOUND

    (run,) = json.loads(sarif.read_text())["runs"]
    assert len(run["tool"]["driver"]["rules"]) == len(RULES)
    bad, old = run["results"]
    assert (bad["ruleId"], bad["level"]) == ("KMS.4", "error")
    location = bad["locations"][0]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "state.json"
    assert location["logicalLocations"][0]["fullyQualifiedName"].endswith("::bad")
    assert old["level"] == "note"
    assert "imported material" in old["suppressions"][0]["justification"]

    suite = ET.fromstring(junit.read_text())
    assert (suite.get("tests"), suite.get("failures")) == (str(len(RULES)), "1")
    (failed,) = suite.findall("testcase[failure]")
    assert str(failed.get("name")).startswith("KMS.4: ")


@pytest.mark.parametrize(
    ("content", "config", "said"),
    [
        ({}, {}, "no `deployment` in it"),
        ({"deployment": {"resources": []}}, {"KMS.99": "mandatory"}, "no such rule: KMS.99"),
        (
            {"deployment": {"resources": []}},
            {"KMS.4": "severe"},
            "level is one of mandatory, advisory",
        ),
    ],
)
def test_wrong_files_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: Any, config: Any, said: str
) -> None:
    given, configured = write(tmp_path / "s.json", content), write(tmp_path / "c.json", config)
    assert main([str(given), "--config", str(configured)]) == WRONG
    assert said in capsys.readouterr().err
