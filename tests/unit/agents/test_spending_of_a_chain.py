"""What layers over an endpoint take together: budgets with fallbacks, hedges and a cache; embeddings."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import pytest

from headrace_agents.chat import CallReport, ChatRequest, Completion, Message, ModelError, Usage
from headrace_agents.consequences import KINDS, usual
from headrace_agents.embedding import EmbeddingRequest, Embeddings
from headrace_agents.model import connecting
from headrace_agents.model.connecting import ModelState, connected, embedding_connected, state_of
from headrace_agents.model.costs import CostFigures, Spent, costs_in
from headrace_agents.model.metering import Meters
from headrace_agents.runs import Deadline
from headrace_agents.spec import (
    AllowanceSpec,
    BudgetSpec,
    CacheSpec,
    ChatEndpointSpec,
    EmbeddingSpec,
    EndpointSpec,
    ModelSpec,
    PricesSpec,
)
from tests.unit.agents.ledger import Topic, caller

R = TypeVar("R")
NOWHERE = "http://model.test/v1"
USED = Usage(10, 5)
PRICES = PricesSpec(input_microdollars=1_000, output_microdollars=2_000)
COST = 10 * 1_000 + 5 * 2_000


class Provider:
    """Answers with its name; the first ``slow`` calls of all take for ever."""

    def __init__(self, slow: int = 0) -> None:
        self.slow = slow
        self.calls: list[str] = []
        self.go = asyncio.Event()
        self.go.set()

    def of(self, spec: EndpointSpec) -> _Named:
        return _Named(spec.name, self)


class _Named:
    most_texts = 100

    def __init__(self, name: str, provider: Provider) -> None:
        self._name, self._provider = name, provider

    async def complete(self, request: ChatRequest) -> Completion:
        calls = self._provider.calls
        calls.append(self._name)
        if len(calls) <= self._provider.slow:
            await asyncio.get_running_loop().create_future()
        await self._provider.go.wait()
        return Completion(self._name, usage=USED)

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        return Embeddings.of([[1.0] for _ in request.texts], Usage(7))

    async def close(self) -> None: ...


def budget(tokens: int, at_limit: Literal["wait", "fail", "pause"] = "fail") -> BudgetSpec:
    return BudgetSpec(agent=AllowanceSpec(tokens=tokens), key=None, at_limit=at_limit)


def chat_endpoint(name: str, **fields: Any) -> ChatEndpointSpec:
    return ChatEndpointSpec(
        **{
            "endpoint": NOWHERE,
            "name": name,
            "timeout_ms": 5_000,
            "max_attempts": 3,
            "max_concurrency": 4,
            "max_output_tokens": 10,
            "prices": PRICES,
            **fields,
        }
    )


def chain(*endpoints: ChatEndpointSpec, **fields: Any) -> ModelSpec:
    first, *others = endpoints
    consequences = {kind: usual(kind, has_fallbacks=bool(others)) for kind in KINDS}
    return ModelSpec(
        **{**first.model_dump(), "fallbacks": tuple(others), "on_failure": consequences, **fields}
    )


class World:
    """One subtask over a provider of the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, provider: Provider) -> None:
        monkeypatch.setattr(connecting, "OpenAiProvider", provider.of)
        monkeypatch.setattr(connecting, "OpenAiEmbeddingProvider", provider.of)
        self.topic, self.costs = Topic(), CostFigures()
        self.meters = Meters(self.topic, 1, self.costs)

    @property
    def spent(self) -> dict[str, Spent]:
        return {cost.model: cost.spent for cost in costs_in(self.topic.costs.items())}


def request(text: str = "?", report: CallReport | None = None) -> ChatRequest:
    return ChatRequest((Message("user", text),), "k", caller=caller("key"), report=report)


def done(coroutine: Coroutine[Any, Any, R]) -> R:
    return asyncio.run(asyncio.wait_for(coroutine, 10))


def asked(world: World, spec: ModelSpec, times: int = 1, state: ModelState | None = None) -> list[str]:
    """Texts, or classes of failure."""

    async def run() -> list[str]:
        model = connected(spec, state, meters=world.meters)
        said: list[str] = []
        for number in range(times):
            try:
                said.append((await model.complete(request(str(number)))).text or "")
            except ModelError as error:
                said.append(error.kind)
        await model.close()
        return said

    return done(run())


def test_past_a_models_budget_a_cheaper_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, Provider())
    # A call may take 43 tokens, and takes 15.
    dear, cheap = chat_endpoint("dear", budget=budget(60)), chat_endpoint("cheap")
    spec = chain(dear, cheap)
    state = state_of(spec)

    assert asked(world, spec, 4, state) == ["dear", "dear", "cheap", "cheap"]

    assert (world.spent["dear"].calls, world.spent["cheap"].calls) == (2, 2)
    first, _ = state.endpoints
    # Nothing was asked of the endpoint, so neither breaker nor figures of calls heard of it.
    assert (first.breaker.is_closed, first.calls.calls_failed) == (True, 0)
    assert first.budget.budget_refusals == 2
    assert state.chain.calls_fallen_back == 2


def test_a_call_past_all_budgets_fails_without_one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider()
    world = World(monkeypatch, provider)
    endpoints = (chat_endpoint(name, budget=budget(20)) for name in ("dear", "cheap"))

    assert asked(world, chain(*endpoints)) == ["budget"]
    assert provider.calls == []
    assert world.costs == CostFigures()


def test_a_hedge_is_charged_beside_the_attempt_that_it_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, Provider(slow=1))
    spec = chain(chat_endpoint("m", hedge_after_ms=20, budget=budget(1_000)))

    assert asked(world, spec) == ["m"]

    assert (world.spent["m"].calls, world.spent["m"].unanswered_calls) == (1, 1)
    assert world.costs.calls_unanswered == 1


def test_a_hedge_that_the_budget_has_no_room_for_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for at_limit in ("wait", "fail", "pause"):
        provider = Provider(slow=1)
        world = World(monkeypatch, provider)
        only = chat_endpoint("m", hedge_after_ms=20, timeout_ms=200, max_attempts=2)
        spec = chain(only, budget=budget(60, at_limit), on_failure=dict.fromkeys(KINDS, "dead_letter"))
        state = state_of(spec)

        assert asked(world, spec, 1, state) == ["timeout"]

        figures = state.endpoints[0].budget
        assert provider.calls == ["m"]
        assert (figures.budget_waits, figures.budget_refusals, world.topic.paused) == (0, 0, [])


def test_an_answer_from_the_cache_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, Provider())
    # Room for one call.
    spec = chain(chat_endpoint("m", budget=budget(50)), cache=CacheSpec(entries=10, expiry_ms=60_000))
    state, reports = state_of(spec), [CallReport(), CallReport()]

    async def run() -> list[Completion]:
        model = connected(spec, state, meters=world.meters)
        return [await model.complete(request(report=report)) for report in reports]

    first, second = done(run())

    assert (first.cached, second.cached) == (False, True)
    assert [report.attempts for report in reports] == [1, 0]
    assert (reports[0].picodollars, reports[1].picodollars) == (COST, 0)
    assert world.spent["m"].calls == state.endpoints[0].calls.calls_answered == 1
    assert state.endpoints[0].budget.budget_refusals == 0


def test_no_run_that_waits_for_a_shared_call_loses_time_to_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, Provider())
    spec = chain(chat_endpoint("m", budget=budget(20, "wait")), cache=CacheSpec(entries=10, expiry_ms=60_000))
    stopped = set[str]()
    both = asyncio.Event()

    def run_of(name: str) -> ChatRequest:
        @contextmanager
        def suspended() -> Iterator[None]:
            stopped.add(name)
            if len(stopped) == 2:
                both.set()
            yield

        return ChatRequest((Message("user", "?"),), "k", caller=caller(name, suspended))

    async def run() -> None:
        model = connected(spec, meters=world.meters)
        calls = [asyncio.create_task(model.complete(run_of(name))) for name in ("a", "b")]
        await both.wait()
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await model.close()

    done(run())
    assert stopped == {"a", "b"}


def test_what_embeddings_take_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, Provider())
    spec = EmbeddingSpec(
        endpoint=NOWHERE, name="e", timeout_ms=1_000, max_attempts=1, max_concurrency=1, prices=PRICES
    )
    report = CallReport()

    async def run() -> None:
        model = embedding_connected(spec, meters=world.meters)
        await model.embed(EmbeddingRequest(("a", "b"), "k", caller=caller("key"), report=report))
        await model.close()

    done(run())
    (cost,) = costs_in(world.topic.costs.items())
    assert (cost.model, cost.key_hash) == ("e", "key")
    assert cost.spent == Spent(calls=1, input_tokens=7, picodollars=7_000)
    assert (report.model, report.attempts, report.input_tokens) == ("e", 1, 7)
    assert world.costs.tokens_input == 7


def test_time_may_stand_still_for_longer_than_a_run() -> None:
    async def run() -> None:
        deadline, over = Deadline(60), asyncio.Event()

        async def shared() -> None:
            with deadline.suspended():
                await over.wait()

        async with deadline.running():
            waiting = asyncio.create_task(shared())
            await asyncio.sleep(0)
        over.set()
        await waiting
        with deadline.suspended():
            pass

    done(run())
