"""Good resources of each governed type, varied within what is allowed, give no finding."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from headrace_policies import RULES
from headrace_policies.rule import Example
from tests.policies.analyzer import Analyzer, serving
from tests.policies.good_aws import GOOD_AWS
from tests.policies.good_streams import GOOD_STREAMS

GOOD = GOOD_AWS | GOOD_STREAMS


@pytest.fixture(scope="module")
def pack() -> Iterator[Analyzer]:
    with serving(RULES) as analyzer:
        yield analyzer


def test_every_governed_type_is_varied() -> None:
    assert set(GOOD) == {kind for rule in RULES for kind in rule.governs}


@pytest.mark.parametrize("kind", list(GOOD))
def test_good_resources_give_no_finding(pack: Analyzer, kind: str) -> None:
    @settings(max_examples=30, deadline=None, derandomize=True, database=None)
    @given(GOOD[kind]())
    def judged(resources: Example) -> None:
        assert pack.judge(resources) == []

    judged()
