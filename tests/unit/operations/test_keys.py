"""Business keys as they are written on a command line."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.operations.keys import key_text, parse_key


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-1.5", -1.5),
        ("true", True),
        ("ada", "ada"),
        ('"7"', "7"),
        ("007", "007"),
        ("NaN", "NaN"),
        ("[1]", "[1]"),
        ("null", "null"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_value_is_json_where_it_is_a_scalar_and_text_else(text: str, value: Any) -> None:
    (found,) = parse_key(["id"], [f"id={text}"])
    assert (found, type(found)) == (value, type(value))


def test_values_are_in_the_order_of_the_agents_fields() -> None:
    assert parse_key(["region", "id"], ["id=7", "region=eu"]) == ("eu", 7)
    assert key_text(["region", "id"], ["eu", 7]) == 'region="eu" id=7'


@pytest.mark.parametrize("given", [[], ["id=7"], ["id=7", "id=8"], ["id=7", "region=eu", "more=1"], ["7"]])
def test_anything_but_each_field_once_is_refused(given: list[str]) -> None:
    with pytest.raises(HeadraceError, match="allowed: region=VALUE id=VALUE"):
        parse_key(["region", "id"], given)
