"""Which models are on Bedrock, and what they are called in IAM."""

from __future__ import annotations

from headrace.environment.model import Agent, ModelEndpoint
from headrace.plan.because import Because, because


def on_bedrock(agent: Agent) -> bool:
    """Whether the agent asks a model of Bedrock."""
    return bool(_models(agent))


def bedrock_models(agent: Agent) -> Because[tuple[str, ...]]:
    """ARNs of what the agent may invoke: its models and fallbacks, where they are Bedrock's."""
    models = _models(agent)
    if not models:
        return because((), "0 models on Bedrock")
    names = ", ".join(model.name for model in models)
    arns = dict.fromkeys(_arn(model) for model in models)
    counted = "1 model" if len(arns) == 1 else f"{len(arns)} models"
    return because(tuple(arns), f"its {counted}, {names}, and no other")


def _models(agent: Agent) -> tuple[ModelEndpoint, ...]:
    return tuple(model for model in agent.model_endpoints.values() if model.provider == "bedrock")


def _arn(model: ModelEndpoint) -> str:
    if model.name.startswith("arn:"):
        return model.name
    return f"arn:aws:bedrock:{model.region}::foundation-model/{model.name}"
