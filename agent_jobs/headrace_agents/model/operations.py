"""What is asked of a model, by OpenTelemetry's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from headrace_agents.spec import AgentJobSpec, EndpointSpec

PROVIDERS = {"openai": "openai", "bedrock": "aws.bedrock"}
"""Of a declaration -> ``gen_ai.provider.name``."""


class Operation(NamedTuple):
    name: Literal["chat", "embeddings"]
    """``gen_ai.operation.name``."""
    provider: str


def chat(endpoint: EndpointSpec) -> Operation:
    return Operation("chat", PROVIDERS[endpoint.provider])


def embeddings(endpoint: EndpointSpec) -> Operation:
    return Operation("embeddings", PROVIDERS[endpoint.provider])


def operations_of(spec: AgentJobSpec) -> Mapping[str, Operation]:
    """Model -> what the agent asks of it."""
    chats = () if spec.model is None else spec.model.chain
    found = {each.name: chat(each) for each in chats}
    return found if spec.embedding is None else found | {spec.embedding.name: embeddings(spec.embedding)}
