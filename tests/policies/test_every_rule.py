"""Each rule on what passes, what fails, and on what its property is absent from or unknown in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headrace_policies import RULES
from headrace_policies.pack import DRY_RUN
from headrace_policies.rule import Declared, Example, Rule
from tests.policies.analyzer import Analyzer, Said, serving, urn, with_unknown, without

BY_ID = {rule.id: rule for rule in RULES}
ids = pytest.mark.parametrize("rule", RULES, ids=list(BY_ID))


@pytest.fixture(scope="module")
def pack() -> Iterator[Analyzer]:
    with serving(RULES) as analyzer:
        yield analyzer


def of(rule: Rule, said: list[Said]) -> list[Said]:
    return [one for one in said if one.rule == rule.id]


def edited(rule: Rule, edit: object) -> Example:
    """The passing example with an edit of the property that decides."""
    assert callable(edit)
    resource = rule.passes[rule.decides_in]
    changed = Declared(resource.kind, edit(resource.properties, rule.decides), resource.name)
    return tuple(changed if one is resource else one for one in rule.passes)


@ids
def test_what_is_good_passes(pack: Analyzer, rule: Rule) -> None:
    assert of(rule, pack.judge(rule.passes)) == []


@ids
def test_what_is_bad_is_named_with_its_resource(pack: Analyzer, rule: Rule) -> None:
    (said,) = of(rule, pack.judge(rule.fails))
    assert said.urn == urn(rule.fails[0])
    assert said.mandatory != rule.advisory
    title, _, message = said.message.partition("\n")
    assert title == f"{rule.title}."
    assert "`" in message


@ids
def test_what_is_bad_is_no_business_of_unrelated_rules(pack: Analyzer, rule: Rule) -> None:
    before = {one.rule for one in pack.judge(rule.passes)}
    after = {one.rule for one in pack.judge(rule.fails)}
    subsets = {"EKS.8": {"CKV_AWS_37"}}
    assert after - before - subsets.get(rule.id, set()) == {rule.id}


@ids
def test_what_is_absent_is_judged_as_declared(pack: Analyzer, rule: Rule) -> None:
    assert bool(of(rule, pack.judge(edited(rule, without)))) == rule.absent_is_fault


@ids
def test_what_is_unknown_is_told_in_a_preview(
    pack: Analyzer, rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DRY_RUN, "unsaid")
    pack.configure_stack(preview=True)
    said = of(rule, pack.judge(edited(rule, with_unknown)))
    assert said
    assert not any(one.mandatory for one in said)
    assert all("is not known before the update, which judges it" in one.message for one in said)


@ids
def test_what_is_unknown_does_not_pass_an_update(
    pack: Analyzer, rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DRY_RUN, "unsaid")
    pack.configure_stack(preview=False)
    said = of(rule, pack.judge(edited(rule, with_unknown)))
    assert any(one.mandatory != rule.advisory for one in said)
    assert all("is not known, so the rule can't be judged" in one.message for one in said)


@ids
def test_a_resource_without_properties_crashes_nothing(pack: Analyzer, rule: Rule) -> None:
    for kind in rule.governs:
        pack.judge([Declared(kind, {})])


@ids
def test_a_resource_of_nothing_but_odd_shapes_crashes_nothing(pack: Analyzer, rule: Rule) -> None:
    keys = {key for one in (*rule.passes, *rule.fails) for key in one.properties}
    shapes: tuple[object, ...] = ("text", 7, [None, "text", 7, []], {"text": {"text": []}}, None, True)
    for odd in shapes:
        for kind in (*rule.governs, *rule.relates):
            pack.judge([Declared(kind, dict.fromkeys(keys, odd))])
