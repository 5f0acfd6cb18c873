"""Makes the model of a specification: providers, and the layers over them."""

from __future__ import annotations

from dataclasses import dataclass

from headrace_agents.chat import ChatModel
from headrace_agents.consequences import Consequences, at_the_end
from headrace_agents.model.breaker import Breaker
from headrace_agents.model.cache import Cached, CacheFigures, ResponseCache
from headrace_agents.model.endpoint import CallFigures, Endpoint
from headrace_agents.model.fallback import Chain, ChainFigures
from headrace_agents.model.openai_provider import OpenAiProvider
from headrace_agents.model.turns import Turns, turns_of
from headrace_agents.slots import Slots
from headrace_agents.spec import EndpointSpec, ModelSpec


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What an endpoint's layer goes by, and what it counts."""

    turns: Turns | None
    breaker: Breaker
    calls: CallFigures


@dataclass(frozen=True, slots=True)
class ModelState:
    """Of one subtask. It can be made, and its figures shown, before there is a loop for the model."""

    endpoints: tuple[EndpointState, ...]
    """In the order of the chain."""
    chain: ChainFigures
    cache: CacheFigures


def state_of(spec: ModelSpec | None, subtask: int = 0, subtasks: int = 1) -> ModelState:
    """The figures of an agent without a model stay 0."""
    rates = [None] if spec is None else [each.requests_per_minute for each in spec.chain]
    endpoints = (EndpointState(turns_of(rate, subtask, subtasks), Breaker(), CallFigures()) for rate in rates)
    return ModelState(tuple(endpoints), ChainFigures(), CacheFigures())


def connected(spec: ModelSpec, state: ModelState | None = None, *, slots: Slots | None = None) -> ChatModel:
    """Call it on the event loop that uses the model. Raises OSError if the file of a key can't be read."""
    state = state or state_of(spec)
    cache = None if spec.cache is None else ResponseCache(spec.cache, state.cache)
    last = spec.chain[-1]
    models: list[ChatModel] = []
    for each, its in zip(spec.chain, state.endpoints, strict=True):
        consequences = at_the_end(spec.on_failure) if each is last else spec.on_failure
        model = _endpoint(each, its, consequences, slots)
        models.append(model if cache is None else Cached(each, model, cache))
    return models[0] if len(models) == 1 else Chain(models, spec.on_failure, state.chain)


def _endpoint(
    spec: EndpointSpec, state: EndpointState, consequences: Consequences, slots: Slots | None
) -> Endpoint:
    return Endpoint(
        spec,
        OpenAiProvider(spec),
        slots=slots,
        turns=state.turns,
        breaker=state.breaker,
        figures=state.calls,
        consequences=consequences,
    )
