"""Durations: what is written is what is stored, and nothing else is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.environment import Duration


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("200ms", 200), ("10s", 10_000), ("15m", 900_000), ("1h", 3_600_000), ("0s", 0), ("90s", 90_000)],
)
def test_reads_each_unit(text: str, milliseconds: int) -> None:
    assert Duration.parse(text).milliseconds == milliseconds


@pytest.mark.parametrize(
    "text", ["", "10", "10 s", "-1s", "1.5s", "1d", "1H", "s", "1s\n", 10, None, True, "1h30m"]
)
def test_takes_nothing_else(text: object) -> None:
    with pytest.raises(ValueError, match="a whole number with a unit"):
        Duration.parse(text)


@given(st.integers(min_value=0, max_value=10**11))
def test_what_is_printed_is_read_back(milliseconds: int) -> None:
    assert Duration.parse(str(Duration(milliseconds))) == Duration(milliseconds)


def test_prints_the_largest_unit_that_divides() -> None:
    assert [str(Duration(ms)) for ms in (90_000, 120_000, 7_200_000, 1_500, 0)] == [
        "90s",
        "2m",
        "2h",
        "1500ms",
        "0s",
    ]
