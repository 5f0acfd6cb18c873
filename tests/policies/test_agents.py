"""A bound, a key and TLS are asked of every model that an agent calls, not of the first alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from headrace_policies import RULES
from headrace_policies.agents import GOOD_SPEC, config_map
from tests.policies.analyzer import Analyzer, serving

MODEL: dict[str, Any] = dict(GOOD_SPEC["model"])
VECTORS = {"endpoint": "https://vectors.example/v1", "api_key_file": "/secrets/model/api-key"}


@pytest.fixture(scope="module")
def pack() -> Iterator[Analyzer]:
    with serving([rule for rule in RULES if rule.id.startswith("HR-AGENT-")]) as analyzer:
        yield analyzer


def without(*fields: str) -> dict[str, Any]:
    return {name: value for name, value in MODEL.items() if name not in fields}


@pytest.mark.parametrize(
    ("path", "value", "rule", "named"),
    [
        (("model", "fallbacks"), [MODEL, without("budget")], "HR-AGENT-1", "fallbacks[1].budget"),
        (("model", "fallbacks"), [without("requests_per_minute")], "HR-AGENT-1", "requests_per_minute"),
        (("model", "fallbacks"), [MODEL | {"endpoint": "http://b.example/v1"}], "HR-AGENT-2", "b.example"),
        (("model", "fallbacks"), [without("api_key_file")], "HR-AGENT-2", "api_key_file"),
        (
            ("embedding",),
            VECTORS | {"endpoint": "http://vectors.example/v1"},
            "HR-AGENT-2",
            "embedding.endpoint",
        ),
        (("embedding",), VECTORS | {"api_key": "clear"}, "HR-AGENT-2", "embedding.api_key"),
    ],
)
def test_each_of_an_agents_models_is_judged(
    pack: Analyzer, path: tuple[str, ...], value: object, rule: str, named: str
) -> None:
    (said,) = pack.judge(config_map(*path, value=value))
    assert said.rule == rule
    assert named in said.message


@pytest.mark.parametrize(
    ("path", "value"),
    [(("model", "fallbacks"), [MODEL, MODEL]), (("embedding",), VECTORS), (("model",), None)],
)
def test_what_each_of_them_has_is_no_fault(pack: Analyzer, path: tuple[str, ...], value: object) -> None:
    assert pack.judge(config_map(*path, value=value)) == []
