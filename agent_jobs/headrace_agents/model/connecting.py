"""Makes the models of a specification: providers, and the layers over them.

Call it on the event loop that uses the model. It raises OSError if the file of a key can't be read.
"""

from __future__ import annotations

import time

from headrace_agents.chat import ChatModel
from headrace_agents.embedding import EmbeddingModel
from headrace_agents.model.breaker import Breaker
from headrace_agents.model.budget import DAY_S, Budget, BudgetFigures
from headrace_agents.model.costs import CostFigures, Costs
from headrace_agents.model.endpoint import CallFigures, EmbeddingEndpoint, Endpoint
from headrace_agents.model.kafka_ledger import KafkaLedger
from headrace_agents.model.metering import Meter
from headrace_agents.model.openai_provider import OpenAiEmbeddingProvider, OpenAiProvider
from headrace_agents.model.turns import Turns
from headrace_agents.slots import Slots
from headrace_agents.spec import EmbeddingSpec, ModelSpec


def connected(
    spec: ModelSpec,
    *,
    slots: Slots | None = None,
    turns: Turns | None = None,
    breaker: Breaker | None = None,
    meter: Meter | None = None,
    figures: CallFigures | None = None,
) -> ChatModel:
    """The chat model."""
    provider = _provider(spec)
    return Endpoint(spec, provider, slots=slots, turns=turns, breaker=breaker, meter=meter, figures=figures)


def embedding_connected(
    spec: EmbeddingSpec, *, turns: Turns | None = None, figures: CallFigures | None = None
) -> EmbeddingModel:
    """The embedding model. Raises ValueError for one that its provider is not known to have."""
    return EmbeddingEndpoint(spec, _embedding_provider(spec), turns=turns, figures=figures)


def metered(
    spec: ModelSpec, ledger: KafkaLedger, subtasks: int, budgets: BudgetFigures, costs: CostFigures
) -> Meter:
    """What each attempt takes is reserved and counted in the ledger."""
    budget = None
    if spec.budget is not None:
        budget = Budget(spec.name, spec.budget, ledger, subtasks, figures=budgets)
    return Meter(spec, budget, Costs(ledger.write_cost, lambda: int(time.time() // DAY_S), costs))


def _provider(spec: ModelSpec) -> ChatModel:
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
