"""Values and reasons: put together, they stay together."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from headrace.plan.because import because, build, mapping, merged, sequence, settings


class Inner(BaseModel):
    size: int


class Outer(BaseModel):
    inner: Inner
    options: dict[str, str]
    parts: tuple[Inner, ...]


def test_reasons_are_under_the_paths_of_their_values() -> None:
    inner = build(Inner, size=because(1, "one"))
    outer = build(Outer, inner=inner, options=settings({"a.b": (True, "on")}), parts=sequence([inner, inner]))
    assert outer.value == Outer(
        inner=Inner(size=1), options={"a.b": "true"}, parts=(Inner(size=1), Inner(size=1))
    )
    assert outer.reasons == {
        "inner.size": "one",
        "options.a.b": "on",
        "parts[0].size": "one",
        "parts[1].size": "one",
    }


class Defaulted(BaseModel):
    size: int
    other: int = 0


def test_a_default_does_not_stand_in_for_a_reason() -> None:
    with pytest.raises(TypeError, match=r"Defaulted: nothing worked out for \['other'\]"):
        build(Defaulted, size=because(1, "one"))


def test_an_empty_mapping_is_a_leaf_with_a_reason_of_its_own() -> None:
    assert mapping({}, "nothing to say").reasons == {"": "nothing to say"}


def test_a_key_that_is_worked_out_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"worked out twice: \['a'\]"):
        merged(settings({"a": (1, "first")}), settings({"a": (2, "second")}))
