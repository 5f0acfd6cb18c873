"""Which models are on Bedrock, and what they are called in IAM."""

from __future__ import annotations

from headrace.environment.model import Agent, ModelEndpoint
from headrace.plan.because import Because, because


def on_bedrock(agent: Agent) -> bool:
    """Whether the agent asks a model of Bedrock."""
    return bool(_models(agent))


def bedrock_models(agent: Agent) -> Because[tuple[str, ...]]:
    """ARNs of what the agent may invoke: its models, where they are Bedrock's."""
    models = _models(agent)
    if not models:
        return because((), "0 models on Bedrock")
    names = ", ".join(model.name for model in models)
    return because(tuple(_arn(model) for model in models), f"its {len(models)}, {names}, and no other")


def _models(agent: Agent) -> tuple[ModelEndpoint, ...]:
    declared = (agent.model, agent.embedding)
    return tuple(model for model in declared if model is not None and model.provider == "bedrock")


def _arn(model: ModelEndpoint) -> str:
    if model.name.startswith("arn:"):
        return model.name
    return f"arn:aws:bedrock:{model.region}::foundation-model/{model.name}"
