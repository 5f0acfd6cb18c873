"""Which models are on Bedrock, and what they are called in IAM."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from headrace.environment.model import Agent, Endpoint
from headrace.plan.because import Because, because

RUNTIME_HOST = re.compile(r"bedrock-runtime\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")
"""Of the endpoint that answers as OpenAI's does, below the path ``/openai/v1``."""


def on_bedrock(agent: Agent) -> bool:
    """Whether the agent asks a model of Bedrock."""
    return bool(_arns(agent))


def bedrock_models(agent: Agent) -> Because[tuple[str, ...]]:
    """ARNs of what the agent may invoke: those of its model and fallbacks that are Bedrock's."""
    arns = _arns(agent)
    if not arns:
        return because((), "0 models on Bedrock")
    counted = "1 model" if len(arns) == 1 else f"{len(arns)} models"
    return because(tuple(arns), f"its {counted}, {', '.join(arns.values())}, and no other")


def _arns(agent: Agent) -> dict[str, str]:
    """With the names that are declared."""
    return {
        _arn(each.name, region): each.name
        for each in (agent.model.chain if agent.model else ())
        if (region := _region(each)) is not None
    }


def _arn(name: str, region: str) -> str:
    return name if name.startswith("arn:") else f"arn:aws:bedrock:{region}::foundation-model/{name}"


def _region(model: Endpoint) -> str | None:
    found = RUNTIME_HOST.fullmatch(urlsplit(model.endpoint).hostname or "")
    return found["region"] if found else None
