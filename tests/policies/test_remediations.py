"""A remediation changes the faulty property alone, the result passes, and secrets stay secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pulumi_policy import EnforcementLevel

from headrace_policies import RULES
from headrace_policies.remedies import changed
from headrace_policies.rule import Declared, Rule
from tests.policies.analyzer import UNKNOWN, Analyzer, serving

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
REMEDIABLE = [rule for rule in RULES if rule.remedy]
ids = pytest.mark.parametrize("rule", REMEDIABLE, ids=[rule.id for rule in REMEDIABLE])


@pytest.fixture(scope="module")
def pack() -> Iterator[Analyzer]:
    with serving(REMEDIABLE, EnforcementLevel.REMEDIATE) as analyzer:
        yield analyzer


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {p: leaf for k, v in value.items() for p, leaf in leaves(v, f"{path}.{k}").items()}
    if isinstance(value, list):
        return {p: leaf for at, v in enumerate(value) for p, leaf in leaves(v, f"{path}[{at}]").items()}
    return {path: value}


@ids
def test_only_the_faulty_property_is_changed_and_the_result_passes(rule: Rule) -> None:
    faulty = rule.fails[0]
    with serving([rule], EnforcementLevel.REMEDIATE) as pack:
        assert pack.judge([faulty])
        (properties,) = pack.remediate(faulty)
        assert pack.judge([Declared(faulty.kind, properties, faulty.name)]) == []
        assert pack.remediate(Declared(faulty.kind, properties, faulty.name)) == []
    before, after = leaves(dict(faulty.properties)), leaves(properties)
    differing = {path for path in before | after if before.get(path) != after.get(path)}
    assert differing
    decisive = "." + ".".join(rule.decides).replace(".0", "[0]")
    assert all(path.startswith(decisive) for path in differing)


@ids
def test_a_good_resource_is_left_alone(pack: Analyzer, rule: Rule) -> None:
    assert pack.remediate(rule.passes[0]) == []


@ids
def test_secrets_and_unknown_values_stay_what_they_are(rule: Rule) -> None:
    secret = {SIGNATURE: SECRET, "value": "hidden"}
    faulty = changed(rule.fails[0].properties, ("description",), secret)
    faulty = changed(faulty, ("region",), UNKNOWN)
    with serving([rule], EnforcementLevel.REMEDIATE) as pack:
        (properties,) = pack.remediate(Declared(rule.fails[0].kind, faulty))
    assert properties["description"] == secret
    assert properties["region"] == UNKNOWN


def test_a_property_that_is_missing_on_the_way_is_made(pack: Analyzer) -> None:
    template = Declared("aws:ec2/launchTemplate:LaunchTemplate", {"name": "nodes"})
    (properties,) = pack.remediate(template)
    assert properties == {"name": "nodes", "metadataOptions": {"httpTokens": "required"}}


def test_what_is_unknown_is_not_remediated(pack: Analyzer) -> None:
    assert pack.remediate(Declared("aws:kms/key:Key", {"enableKeyRotation": UNKNOWN})) == []
