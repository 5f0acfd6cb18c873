"""Which models are on Bedrock, and what they are called in IAM."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from headrace.environment.model import Agent
from headrace.plan.because import Because, because

RUNTIME_HOST = re.compile(r"bedrock-runtime\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")
"""Of the endpoint that answers as OpenAI's does, below the path ``/openai/v1``."""


def on_bedrock(agent: Agent) -> bool:
    """Whether the agent asks a model of Bedrock."""
    return _region(agent) is not None


def bedrock_models(agent: Agent) -> Because[tuple[str, ...]]:
    """ARNs of what the agent may invoke: its model, where that is one of Bedrock's."""
    region = _region(agent)
    if region is None or agent.model is None:
        return because((), "0 models on Bedrock")
    name = agent.model.name
    arn = name if name.startswith("arn:") else f"arn:aws:bedrock:{region}::foundation-model/{name}"
    return because((arn,), f"its 1 model, {name}, and no other")


def _region(agent: Agent) -> str | None:
    host = urlsplit(agent.model.endpoint).hostname if agent.model else None
    found = RUNTIME_HOST.fullmatch(host or "")
    return found["region"] if found else None
