"""Environments that are shipped on AWS pass with everything mandatory; a change for the worse is caught.

They are recorded by Pulumi's mocks, so no engine is needed; properties are as a saved state has them.
"""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from typing import Any

import pytest
from pulumi.runtime import mocks

from headrace_policies import RULES
from headrace_policies.check import check
from headrace_policies.nodes import Node
from headrace_policies.stacks import Resource, Stack
from tests.components.aws.cloud import Cloud
from tests.components.aws.managed import recorded
from tests.policies.mutations import ALSO, CHANGES, Resources, changed, put
from tests.unit.environment.declarations import REPOSITORY

TODAY = date(2026, 6, 1)
IN_DEVELOPMENT = {("EKS.1", "dev-cluster")}
"""Its endpoint is reached from declared blocks."""
EVERYTHING = {"all": "mandatory"}


@cache
def saved(environment: str) -> Resources:
    """Type, name and properties of each resource, as they would stand in the state."""
    cloud, found = Cloud(), []
    for key, resource in recorded(environment).items():
        kind, name = key.split(" ", 1)
        asked = mocks.MockResourceArgs(
            typ=kind, name=name, inputs=resource["inputs"], provider="", resource_id="", custom=True
        )
        _id, made = cloud.new_resource(asked)
        found.append((kind, name, {"id": name} | made | resource["inputs"]))
    return tuple(found)


def stack(resources: Resources) -> Stack:
    return Stack(
        tuple(
            Resource(f"urn:pulumi:test::test::{kind}::{name}", kind, name, Node(_plain(properties)))
            for kind, name, properties in resources
        )
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool) else str(value)


def findings(resources: Resources) -> set[tuple[str, str, str]]:
    """Rule, resource and message of everything that a rule says, whatever its level."""
    return {
        (one.rule.id, finding.resource.name, finding.message)
        for one in check(stack(resources), EVERYTHING, TODAY)
        for finding in one.findings
    }


def test_production_passes_with_everything_mandatory() -> None:
    assert findings(saved("prod")) == set()
    config = json.loads((REPOSITORY / "policies" / "environments" / "prod.json").read_text())
    assert [one.rule.id for one in check(stack(saved("prod")), config, TODAY) if one.stopping] == []
    assert {rule for rule, level in config.items() if level == "advisory"} == {
        "SecretsManager.1",
        "HR-EXCEPTIONS",
    }


def test_development_passes_but_for_its_public_endpoint() -> None:
    said = {(rule, resource) for rule, resource, _message in findings(saved("dev"))}
    assert said == IN_DEVELOPMENT


# --- Changes for the worse

FOREIGN = {rule.id for rule in RULES} - CHANGES.keys()
"""Rules on types that a stack of ours has none of; such a resource is added."""


@cache
def before() -> frozenset[tuple[str, str, str]]:
    return frozenset(findings(saved("prod")))


@pytest.mark.parametrize("rule", CHANGES)
def test_a_change_for_the_worse_is_caught_by_its_rule_and_by_no_unrelated_one(rule: str) -> None:
    after = findings(CHANGES[rule](saved("prod")))
    found = {each[0] for each in after - before()}
    assert rule in found
    assert found <= {rule} | ALSO.get(rule, set())


def test_jobmanagers_are_seen_on_spot_by_the_pool_that_they_choose() -> None:
    pool = "kubernetes:karpenter.sh/v1:NodePool"
    capacity = put("spec", "template", "spec", "requirements", 0, "values", to=["on-demand", "spot"])
    after = findings(changed(pool, "prod-nodes-jobmanagers", capacity)(saved("prod")))
    assert {(rule, resource) for rule, resource, _message in after - before()} == {
        ("HR-FLINK-3", "prod-support-triage"),
        ("HR-FLINK-3", "prod-order-risk"),
    }


@pytest.mark.parametrize("rule", sorted(FOREIGN))
def test_a_resource_of_another_kind_beside_them_is_judged(rule: str) -> None:
    (owner,) = (each for each in RULES if each.id == rule)

    def beside(example: Any) -> Resources:
        added = tuple((each.kind, f"foreign-{each.name}", dict(each.properties)) for each in example)
        return saved("prod") + added

    good, bad = (findings(beside(example)) - before() for example in (owner.passes, owner.fails))
    assert rule not in {each[0] for each in good}
    assert {each[0] for each in bad - good} == {rule}
