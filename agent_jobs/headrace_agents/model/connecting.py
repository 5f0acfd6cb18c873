"""Makes the models of a specification: providers, and the layers over them.

What a layer goes by and counts is its state: it can be made, and its figures shown, before there is a loop
for the model. Connect on the event loop that uses the model. It raises OSError if the file of a key can't be
read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from headrace_agents.chat import ChatModel
from headrace_agents.consequences import Consequences, at_the_end
from headrace_agents.embedding import EmbeddingModel
from headrace_agents.model.breaker import Breaker
from headrace_agents.model.budget import BudgetFigures
from headrace_agents.model.cache import Cached, CacheFigures, ResponseCache
from headrace_agents.model.concurrency import Concurrency
from headrace_agents.model.endpoint import CallFigures, EmbeddingEndpoint, Endpoint
from headrace_agents.model.fallback import Chain, ChainFigures
from headrace_agents.model.metering import Meters
from headrace_agents.model.openai_provider import OpenAiEmbeddingProvider, OpenAiProvider
from headrace_agents.model.turns import Turns, turns_of
from headrace_agents.spec import ChatEndpointSpec, EmbeddingSpec, EndpointSpec, ModelSpec


@dataclass(frozen=True, slots=True)
class EndpointState:
    """Of one subtask."""

    concurrency: Concurrency
    turns: Turns | None = None
    breaker: Breaker = field(default_factory=Breaker)
    calls: CallFigures = field(default_factory=CallFigures)
    budget: BudgetFigures = field(default_factory=BudgetFigures)

    @property
    def layers(self) -> dict[str, Any]:
        """As :class:`headrace_agents.model.endpoint.Calls` takes them."""
        return {
            "concurrency": self.concurrency,
            "turns": self.turns,
            "breaker": self.breaker,
            "figures": self.calls,
        }

    @property
    def figures(self) -> Iterator[Any]:
        yield from (self.concurrency.figures, self.calls, self.breaker.figures, self.budget)


@dataclass(frozen=True, slots=True)
class ModelState:
    """Of one subtask."""

    endpoints: tuple[EndpointState, ...]
    """In the order of the chain."""
    chain: ChainFigures
    cache: CacheFigures


def endpoint_state(spec: EndpointSpec | None, subtask: int = 0, subtasks: int = 1) -> EndpointState:
    """The figures of an endpoint that is not there stay 0."""
    if spec is None:
        return EndpointState(Concurrency(1, 1))
    return EndpointState(
        Concurrency(spec.max_concurrency, spec.max_concurrency), turns_of(spec, subtask, subtasks)
    )


def state_of(
    spec: ModelSpec | None,
    subtask: int = 0,
    subtasks: int = 1,
    *,
    concurrency: Concurrency | None = None,
) -> ModelState:
    """As :func:`endpoint_state`, of each endpoint of a model; ``concurrency`` is of its first one."""
    chain: tuple[EndpointSpec | None, ...] = (None,) if spec is None else spec.chain
    first, *fallbacks = (endpoint_state(each, subtask, subtasks) for each in chain)
    if concurrency is not None:
        first = replace(first, concurrency=concurrency)
    return ModelState((first, *fallbacks), ChainFigures(), CacheFigures())


def connected(spec: ModelSpec, state: ModelState | None = None, *, meters: Meters | None = None) -> ChatModel:
    """The chat model."""
    state = state or state_of(spec)
    cache = None if spec.cache is None else ResponseCache(spec.cache, state.cache)
    last = spec.chain[-1]
    models: list[ChatModel] = []
    for each, its in zip(spec.chain, state.endpoints, strict=True):
        consequences = at_the_end(spec.on_failure) if each is last else spec.on_failure
        model = _endpoint(each, its, consequences, meters)
        models.append(model if cache is None else Cached(each, model, cache))
    return models[0] if len(models) == 1 else Chain(models, spec.on_failure, state.chain)


def embedding_connected(
    spec: EmbeddingSpec, state: EndpointState | None = None, *, meters: Meters | None = None
) -> EmbeddingModel:
    """The embedding model. Raises ValueError for one that its provider is not known to have."""
    state = state or endpoint_state(spec)
    return EmbeddingEndpoint(
        spec,
        _embedding_provider(spec),
        **state.layers,
        meter=meters.uncapped(spec) if meters else None,
    )


def _endpoint(
    spec: ChatEndpointSpec, state: EndpointState, consequences: Consequences, meters: Meters | None
) -> Endpoint:
    return Endpoint(
        spec,
        _provider(spec),
        **state.layers,
        consequences=consequences,
        meter=meters.capped(spec, state.budget) if meters else None,
    )


def _provider(spec: EndpointSpec) -> ChatModel:
    if spec.provider == "bedrock":
        # Imported here, as boto3 is heavy.
        from headrace_agents.model.bedrock_provider import BedrockProvider  # noqa: PLC0415

        return BedrockProvider(spec)
    return OpenAiProvider(spec)


def _embedding_provider(spec: EmbeddingSpec) -> EmbeddingModel:
    if spec.provider == "bedrock":
        # Imported here, as boto3 is heavy.
        from headrace_agents.model.bedrock_embedding_provider import BedrockEmbeddingProvider  # noqa: PLC0415

        return BedrockEmbeddingProvider(spec)
    return OpenAiEmbeddingProvider(spec)
