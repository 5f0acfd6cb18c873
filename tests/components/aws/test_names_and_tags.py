"""Names fit AWS's limits and stay apart; tags are what AWS takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.aws import Tags
from headrace.aws.names import fitted
from headrace.errors import HeadraceError

name = st.from_regex(r"[a-z][a-z0-9-]{0,90}", fullmatch=True)


@given(name, name, st.integers(20, 64))
def test_a_fitted_name_is_short_enough_and_two_stay_two(one: str, other: str, limit: int) -> None:
    assert len(fitted(one, limit)) <= limit
    assert (fitted(one, limit) == fitted(other, limit)) == (one == other)


def test_what_fits_is_left_as_it_is() -> None:
    assert fitted("headrace-dev", 12) == "headrace-dev"
    assert fitted("headrace-production", 18).startswith("headrace-")


@pytest.mark.parametrize("owner", ["", "a;b", "x" * 257])
def test_a_tag_that_aws_would_refuse_is_refused(owner: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        Tags(environment="dev", owner=owner, cost_centre="4711")
    assert str(refused.value) == (
        f"tag owner: given {owner!r}; allowed: 1 to 256 letters, digits, spaces and . : / = + - @ _"
    )


def test_labels_of_kubernetes_are_tags_in_the_characters_that_it_takes() -> None:
    tags = Tags(environment="dev", owner="Data Platform: team @ one", cost_centre="x" * 64)
    assert tags.labels == {
        "environment": "dev",
        "owner": "Data-Platform--team---one",
        "cost-centre": "x" * 63,
    }
