"""What endpoints say is taken within bounds."""

from __future__ import annotations

import pytest

from headrace_agents.model.told import tokens


@pytest.mark.parametrize(
    ("counted", "taken"),
    [(7, 7), (0, 0), (-3, 0), (None, 0), ("3", 0), (1e308, 0), ([2], 0), (10**300, 10_000_000)],
)
def test_a_count_is_no_less_than_none_and_no_more_than_a_model_takes(counted: object, taken: int) -> None:
    assert tokens(counted) == taken
