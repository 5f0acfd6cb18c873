"""HTTP calls for one failure that lasts, counted in the logs of two endpoints."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from headrace_agents.chat import ChatRequest, Message, ModelError, ModelErrorKind
from headrace_agents.consequences import KINDS, Consequence, usual
from headrace_agents.model.connecting import connected
from headrace_agents.scripted_model import Settings, serving
from headrace_agents.spec import ChatEndpointSpec, ModelSpec

pytestmark = pytest.mark.anyio

FAILS: dict[ModelErrorKind, str] = {
    "rate_limited": "status 429 Too Many Requests",
    "overloaded": "status 503 Service Unavailable",
    "timeout": "silence after half an answer",
    "malformed": "document: HTML",
    "refused": "status 400 Bad Request",
    "too_long": "10 MB of text",
    "auth": "status 401 Unauthorized",
    "unknown": "status 304 Not Modified",
}
"""Answers of each class that an endpoint can give."""
FIRST, SECOND = 3, 2
"""Attempts that are declared of them."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def endpoint(url: str, attempts: int) -> ChatEndpointSpec:
    return ChatEndpointSpec(
        endpoint=url, name="scripted-triage", timeout_ms=300, max_attempts=attempts, max_concurrency=4
    )


def calls(log: Path) -> Counter[str]:
    return Counter(json.loads(line)["idempotency_key"] for line in log.read_text().splitlines())


DECLARED: tuple[tuple[Consequence, bool, tuple[int, int]], ...] = (
    ("wait", True, (FIRST, SECOND)),
    ("fall_back", True, (1, SECOND)),
    ("wait", False, (FIRST, 0)),
    ("dead_letter", True, (1, 0)),
    ("escalate", True, (1, 0)),
)


@pytest.mark.parametrize("kind", FAILS)
async def test_a_failure_that_lasts_costs_exactly_the_declared_calls(
    kind: ModelErrorKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace_agents.model.endpoint._pause_s", lambda *_: 0.0)
    logs = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    settings = Settings(spoilt=FAILS[kind])
    expected: list[Counter[str]] = [Counter(), Counter()]
    async with serving(settings, logs[0]) as first, serving(settings, logs[1]) as second:
        for consequence, has_fallback, counts in DECLARED:
            mends = usual(kind, has_fallbacks=False) == "wait" or kind == "unknown"
            if consequence == "wait" and not mends:
                continue  # refused in the declaration
            at_first, at_second = counts
            if consequence == "fall_back" and not mends:
                at_second = 1  # nothing that a further attempt at the end of the chain would mend
            key = f"{consequence} {has_fallback}"
            on_failure = {each: usual(each, has_fallbacks=has_fallback) for each in KINDS}
            spec = ModelSpec(
                **endpoint(first, FIRST).model_dump(),
                fallbacks=(endpoint(second, SECOND),) if has_fallback else (),
                on_failure={**on_failure, kind: consequence},
            )
            model = connected(spec)
            with pytest.raises(ModelError) as raised:
                await model.complete(ChatRequest((Message("user", "hello"),), key))
            await model.close()
            assert raised.value.kind == kind
            expected[0] += Counter({key: at_first})
            expected[1] += Counter({key: at_second})

    assert [calls(log) for log in logs] == expected


async def test_an_endpoint_that_nobody_listens_at_falls_back(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    async with serving(Settings(), log) as gone:
        pass
    async with serving(Settings(), log) as url:
        spec = ModelSpec(
            **endpoint(gone, FIRST).model_dump(),
            fallbacks=(endpoint(url, SECOND),),
            on_failure={each: usual(each, has_fallbacks=True) for each in KINDS} | {"timeout": "dead_letter"},
        )
        model = connected(spec)
        completion = await model.complete(ChatRequest((Message("user", "hello"),), "k"))
        await model.close()
    assert completion.model == "scripted-triage"
    assert calls(log) == {"k": 1}


async def test_of_equal_calls_the_endpoint_gets_one(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    async with serving(Settings(), log) as url:
        spec = ModelSpec.model_validate(
            {**endpoint(url, 1).model_dump(), "cache": {"entries": 10, "expiry_ms": 60_000}}
        )
        model = connected(spec)
        for key in ("first", "second"):
            completion = await model.complete(ChatRequest((Message("user", "hello"),), key))
        await model.close()
    assert completion.cached
    assert completion.usage.total_tokens == 0
    assert calls(log) == {"first": 1}


@pytest.mark.parametrize(
    "spoilt",
    [
        *FAILS.values(),
        "HTTP: closed without a byte",
        "cut after 9 of 20",
        "gzip cut short",
        "10 MB of a refusal",
    ],
)
async def test_a_failed_attempt_may_be_billed_unless_its_status_says_no(spoilt: str, tmp_path: Path) -> None:
    async with serving(Settings(spoilt=spoilt), tmp_path / "calls.jsonl") as url:
        model = connected(ModelSpec(**endpoint(url, 1).model_dump()))
        with pytest.raises(ModelError) as raised:
            await model.complete(ChatRequest((Message("user", "hello"),), "k"))
        await model.close()
    is_refused = spoilt == "10 MB of a refusal" or spoilt.startswith("status")
    assert raised.value.taken == (None if is_refused else "unknown")


async def test_an_attempt_that_reached_nobody_is_not_billed(tmp_path: Path) -> None:
    async with serving(Settings(), tmp_path / "calls.jsonl") as gone:
        pass
    model = connected(ModelSpec(**endpoint(gone, 1).model_dump()))
    with pytest.raises(ModelError) as raised:
        await model.complete(ChatRequest((Message("user", "hello"),), "k"))
    await model.close()
    assert (raised.value.kind, raised.value.taken) == ("overloaded", None)
