"""The reference in ``docs/`` says what the code says."""

from __future__ import annotations

import inspect

from headrace.environment import (
    aws_rules,
    backfill_rules,
    contradictions,
    engine_rules,
    money_rules,
    overload,
    reference,
    rules,
)
from tests.unit.environment.declarations import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "declaration.md"


def test_tables_and_rules_are_those_of_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == reference.up_to_date(text), (
        "run: python -m headrace.environment.reference docs/declaration.md"
    )


def test_every_field_of_every_part_is_in_the_tables() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for path, model in reference.parts():
        fields = [field for field in model.model_fields if (path, field) != ("", "name")]
        assert fields
        for field in fields:
            assert f"| `{field}` |" in text, f"{path}.{field}"


def test_every_rule_is_applied_and_described() -> None:
    defined = {
        rule
        for module in (rules, backfill_rules, engine_rules, contradictions, money_rules, overload, aws_rules)
        for name, rule in vars(module).items()
        if inspect.isfunction(rule) and rule.__module__ == module.__name__ and not name.startswith("_")
    } - {rules.problems}
    assert defined == set(rules.RULES)
    assert len(rules.RULES) == len(defined)
    assert all(rule.__doc__ for rule in rules.RULES)
