"""Makes the model of a specification: providers, and the layers over them."""

from __future__ import annotations

from headrace_agents.chat import ChatModel
from headrace_agents.model.breaker import Breaker
from headrace_agents.model.concurrency import Concurrency
from headrace_agents.model.endpoint import CallFigures, Endpoint
from headrace_agents.model.openai_provider import OpenAiProvider
from headrace_agents.model.turns import Turns
from headrace_agents.spec import ModelSpec


def connected(
    spec: ModelSpec,
    *,
    concurrency: Concurrency | None = None,
    turns: Turns | None = None,
    breaker: Breaker | None = None,
    figures: CallFigures | None = None,
) -> ChatModel:
    """Call it on the event loop that uses the model. Raises OSError if the file of a key can't be read."""
    provider = OpenAiProvider(spec)
    return Endpoint(spec, provider, concurrency=concurrency, turns=turns, breaker=breaker, figures=figures)
