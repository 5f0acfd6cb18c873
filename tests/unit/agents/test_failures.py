"""Consequences: how many calls each endpoint of a chain gets for one failure that lasts, and what it ends as.

Under a provider of the test; over HTTP in ``tests/unit/scripted_model/test_attempts.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from headrace_agents.chat import ChatModel, ChatRequest, Completion, Message, ModelError, ModelErrorKind
from headrace_agents.consequences import (
    ALONE,
    KINDS,
    MAY_MEND,
    Consequence,
    Consequences,
    at_the_end,
    usual,
)
from headrace_agents.model import connecting
from headrace_agents.model.breaker import OPENS_AFTER, Breaker
from headrace_agents.model.connecting import ModelState, connected, state_of
from headrace_agents.model.turns import Moments, Turns
from headrace_agents.spec import ChatEndpointSpec, EndpointSpec, ModelSpec

REQUEST = ChatRequest((Message("user", "?"),), "k")
CONSEQUENCES: tuple[Consequence, ...] = ("wait", "fall_back", "dead_letter", "escalate")
NOWHERE = "http://model.test/v1"


class Providers:
    """Fails by the endpoint's name with a class of failure, or answers."""

    def __init__(self) -> None:
        self.fails: dict[str, ModelErrorKind] = {}
        self.calls: list[str] = []

    def __call__(self, spec: EndpointSpec) -> ChatModel:
        return _Provider(spec.name, self)


class _Provider:
    def __init__(self, name: str, providers: Providers) -> None:
        self._name, self._providers = name, providers

    async def complete(self, request: ChatRequest) -> Completion:
        self._providers.calls.append(self._name)
        await asyncio.sleep(0)
        kind = self._providers.fails.get(self._name)
        if kind is not None:
            raise ModelError(kind, f"by {self._name}")
        return Completion("yes")

    async def close(self) -> None: ...


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> Providers:
    made = Providers()
    monkeypatch.setattr(connecting, "OpenAiProvider", made)
    monkeypatch.setattr("headrace_agents.model.endpoint._pause_s", lambda *_: 0.0)
    return made


def chain(attempts: Sequence[int], on_failure: Consequences | None = None) -> ModelSpec:
    """Endpoints called 0, 1, ... with so many attempts."""
    first, *others = (
        ChatEndpointSpec(
            endpoint=NOWHERE, name=str(number), timeout_ms=1000, max_attempts=most, max_concurrency=64
        )
        for number, most in enumerate(attempts)
    )
    usually = {kind: usual(kind, has_fallbacks=bool(others)) for kind in KINDS}
    return ModelSpec(
        **first.model_dump(), fallbacks=tuple(others), on_failure={**usually, **(on_failure or {})}
    )


def asked(spec: ModelSpec, state: ModelState | None = None, times: int = 1) -> list[Completion | ModelError]:
    ended: list[Completion | ModelError] = []

    async def run() -> None:
        model = connected(spec, state)
        for _ in range(times):
            try:
                ended.append(await model.complete(REQUEST))
            except ModelError as error:
                ended.append(error)
        await model.close()

    asyncio.run(run())
    return ended


def declared_calls(consequence: Consequence, kind: ModelErrorKind, attempts: Sequence[int]) -> list[int]:
    """By endpoint, for a failure that lasts at all of them: what docs/agents.md says."""
    if consequence in ("dead_letter", "escalate"):
        return [1, *[0] * (len(attempts) - 1)]
    *others, last = attempts
    before = others if consequence == "wait" else [1] * len(others)
    return [*before, last if consequence == "wait" or kind in MAY_MEND else 1]


@pytest.mark.parametrize("attempts", [(1,), (3,), (3, 2), (1, 1), (4, 3, 2)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_that_lasts_costs_exactly_the_declared_calls(
    providers: Providers, kind: ModelErrorKind, attempts: tuple[int, ...]
) -> None:
    for consequence in CONSEQUENCES:
        if (consequence == "wait" and kind not in MAY_MEND) or (
            consequence == "fall_back" and len(attempts) == 1
        ):
            continue  # refused in the declaration
        providers.calls.clear()
        providers.fails = {str(number): kind for number in range(len(attempts))}
        (ended,) = asked(chain(attempts, {kind: consequence}))

        assert isinstance(ended, ModelError)
        assert ended.kind == kind
        calls = [providers.calls.count(str(number)) for number in range(len(attempts))]
        assert calls == declared_calls(consequence, kind, attempts), consequence


@pytest.mark.parametrize("first", ["fall_back", "wait"])
@pytest.mark.parametrize("second", CONSEQUENCES)
def test_each_endpoint_goes_by_the_class_of_its_own_failure(
    providers: Providers, first: Consequence, second: Consequence
) -> None:
    providers.fails = {"0": "overloaded", "1": "malformed", "2": "timeout"}
    spec = chain((3, 2, 1), {"overloaded": first, "malformed": second, "timeout": "fall_back"})
    (ended,) = asked(spec)

    goes_on = second in ("fall_back", "wait")
    assert isinstance(ended, ModelError)
    assert ended.kind == ("timeout" if goes_on else "malformed")
    assert [providers.calls.count(name) for name in "012"] == [
        3 if first == "wait" else 1,
        2 if second == "wait" else 1,
        1 if goes_on else 0,
    ]


def test_a_completion_says_which_model_made_it(providers: Providers) -> None:
    spec, state = chain((2, 2)), state_of(chain((2, 2)))
    (first,) = asked(spec, state)
    providers.fails = {"0": "overloaded"}
    (second,) = asked(spec, state)
    assert (first, second) == (Completion("yes", model="0"), Completion("yes", model="1"))
    assert state.chain.calls_fallen_back == 1
    assert [each.calls.calls_answered for each in state.endpoints] == [1, 1]
    assert [each.calls.calls_failed for each in state.endpoints] == [1, 0]


def test_a_completion_of_a_journal_from_before_has_no_model() -> None:
    old = b'{"cut_off":false,"text":"a","tool_calls":[],"usage":[1,2]}'
    assert Completion.decode(old).model == ""
    made = Completion("a", model="m", cached=True)
    assert Completion.decode(made.encode()) == made


def test_no_call_waits_at_a_dead_endpoint_but_one_probe_finds_out(providers: Providers) -> None:
    providers.fails = {"0": "overloaded"}
    now = [0.0]
    spec = chain((4, 4))
    breaker = Breaker(clock=lambda: now[0], spread=lambda least, most: most)
    fresh = state_of(spec)
    state = ModelState(
        (replace(fresh.endpoints[0], breaker=breaker), fresh.endpoints[1]),
        fresh.chain,
        fresh.cache,
    )
    ended = asked(spec, state, times=OPENS_AFTER + 20)
    assert [each.model for each in ended if isinstance(each, Completion)] == ["1"] * (OPENS_AFTER + 20)
    assert providers.calls.count("0") == OPENS_AFTER
    now[0] = 1.0
    asked(spec, state, times=20)
    assert providers.calls.count("0") == OPENS_AFTER + 1
    now[0] = 3.0
    providers.fails = {}
    (back,) = asked(spec, state)
    assert isinstance(back, Completion)
    assert back.model == "0"


def test_calls_that_waited_at_an_open_breaker_fall_back_once_a_probe_fails_so(providers: Providers) -> None:
    """It was opened by what is waited for; what the probe meets is not."""
    providers.fails = {"0": "rate_limited"}
    spec = chain((9, 1), {"rate_limited": "wait", "overloaded": "fall_back"})

    async def run() -> list[str]:
        state = state_of(spec)
        model = connected(spec, state)
        breaker = state.endpoints[0].breaker
        breaker.failed(await breaker.enter(), retry_after_s=0.05)
        # As the endpoint's layer would have heard it.
        model._models[0]._opened_by = "rate_limited"  # type: ignore[attr-defined]
        calls = [asyncio.create_task(model.complete(REQUEST)) for _ in range(10)]
        await asyncio.sleep(0)
        providers.fails = {"0": "overloaded"}
        ended = await asyncio.wait_for(asyncio.gather(*calls), 5)
        await model.close()
        return [each.model for each in ended]

    assert asyncio.run(run()) == ["1"] * 10
    assert providers.calls.count("0") == 1


def test_a_turn_that_is_further_off_than_an_attempt_may_take_is_a_limit_that_falls_back(
    providers: Providers,
) -> None:
    spec = chain((2, 2)).model_copy(update={"requests_per_minute": 60})
    turns = Turns(Moments(60, 0, 1))

    async def run() -> list[str]:
        fresh = state_of(spec)
        first = replace(fresh.endpoints[0], turns=turns)
        model = connected(spec, ModelState((first, fresh.endpoints[1]), fresh.chain, fresh.cache))
        ended = await asyncio.wait_for(asyncio.gather(*(model.complete(REQUEST) for _ in range(10))), 5)
        await model.close()
        return [each.model for each in ended]

    made = asyncio.run(run())
    assert 1 <= made.count("0") <= 2
    assert made.count("0") + made.count("1") == 10
    assert providers.calls.count("0") == made.count("0")


def test_the_last_endpoint_has_nothing_to_fall_back_to() -> None:
    everything: Consequences = dict.fromkeys(KINDS, "fall_back")
    assert {kind for kind, each in at_the_end(everything).items() if each == "wait"} == MAY_MEND
    assert set(at_the_end(everything).values()) == {"wait", "dead_letter"}
    assert at_the_end(ALONE) == ALONE
