"""The rules and the schema instances, as pure functions."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from headrace_agents.scripted_model.rules import triage
from headrace_agents.scripted_model.schema_instance import UnsupportedSchemaError, instance


@pytest.mark.parametrize(
    ("text", "urgency", "queue"),
    [
        ("Our API is DOWN, please help", "high", "technical"),
        ("I was charged twice on one invoice", "normal", "billing"),
        ("a typo in my profile", "low", "account"),
        ("urgent: just a question", "high", "general"),
        ("", "normal", "general"),
    ],
)
def test_words_decide_urgency_and_queue(text: str, urgency: str, queue: str) -> None:
    found = triage(text)

    assert (found["urgency"], found["queue"]) == (urgency, queue)


def test_a_word_inside_another_does_not_count() -> None:
    assert triage("we download apidae pictures")["reason"] == "words: none known"


@pytest.mark.parametrize(
    "schema",
    [
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
            "required": ["a"],
        },
        {"type": "integer", "minimum": 3, "maximum": 9, "multipleOf": 4},
        {"type": "integer", "exclusiveMaximum": -2},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "number", "multipleOf": 0.25, "minimum": 0.3},
        {"type": "string", "minLength": 4},
        {"type": "string", "format": "date-time"},
        {"type": ["boolean", "null"]},
        {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2},
        {"type": "array", "prefixItems": [{"type": "string"}, {"const": 3}], "minItems": 2, "maxItems": 2},
        {"anyOf": [{"type": "string", "pattern": "^a"}, {"type": "null"}]},
        {"allOf": [{"type": "boolean"}]},
        {
            "$ref": "#/$defs/Node",
            "$defs": {
                "Node": {
                    "type": "object",
                    "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
                    "required": ["next"],
                }
            },
        },
        {"type": "object", "required": ["free"], "additionalProperties": {"type": "integer", "minimum": 1}},
        {},
    ],
    ids=str,
)
def test_an_instance_fits_its_schema_and_is_the_same_each_time(schema: dict[str, Any]) -> None:
    built = instance(schema, {})

    jsonschema.Draft202012Validator(schema).validate(built)
    assert built == instance(schema, {})


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "string", "pattern": "^a"}, "'pattern'"),
        ({"type": "object", "properties": {"a": {"not": {}}}, "required": ["a"]}, "$.a: 'not'"),
        ({"type": "integer", "minimum": 2, "maximum": 1}, "no number"),
        ({"$ref": "#/$defs/Gone"}, "points nowhere"),
        (
            {
                "type": "object",
                "properties": {"self": {"$ref": "#/$defs/Self"}},
                "required": ["self"],
                "$defs": {
                    "Self": {
                        "type": "object",
                        "properties": {"self": {"$ref": "#/$defs/Self"}},
                        "required": ["self"],
                    }
                },
            },
            "never ends",
        ),
    ],
)
def test_what_cannot_be_fulfilled_is_refused_by_place_and_keyword(schema: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedSchemaError) as refused:
        instance(schema, {})

    assert named in str(refused.value)


def test_a_hint_is_used_only_where_the_schema_accepts_it() -> None:
    schema = {
        "type": "object",
        "properties": {
            "urgency": {"enum": ["P1", "P2"]},
            "queue": {"anyOf": [{"$ref": "#/$defs/Queue"}, {"type": "null"}]},
            "reason": {"type": "string", "maxLength": 3},
        },
        "required": ["urgency", "queue"],
        "$defs": {"Queue": {"type": "string", "enum": ["general", "billing"]}},
    }

    built = instance(schema, {"urgency": "high", "queue": "billing", "reason": "too long"})

    assert built == {"urgency": "P1", "queue": "billing"}
