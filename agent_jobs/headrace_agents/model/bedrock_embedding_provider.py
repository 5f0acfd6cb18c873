"""Embedding models on Amazon Bedrock, by InvokeModel: each maker has an interface of its own.

Titan's is https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html,
Cohere's https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace_agents.chat import ModelError, Taken, Usage
from headrace_agents.embedding import EmbeddingRequest, Embeddings
from headrace_agents.model.bedrock_client import BedrockClient
from headrace_agents.model.bedrock_provider import IDEMPOTENCY_KEY
from headrace_agents.model.told import tokens
from headrace_agents.spec import EmbeddingSpec

_TOKENS_HEADER = "x-amzn-bedrock-input-token-count"


@dataclass(frozen=True, slots=True)
class _Maker:
    most_texts: int
    body: Callable[[EmbeddingRequest], dict[str, Any]]
    dimensions: str
    """What the field is called."""
    vectors: Callable[[Any], Sequence[Sequence[float]]]
    """Of the answer's JSON."""


_TITAN = _Maker(
    most_texts=1,
    body=lambda request: {"inputText": request.texts[0]},
    dimensions="dimensions",
    vectors=lambda sent: [sent["embedding"]],
)
_COHERE = _Maker(
    most_texts=96,
    body=lambda request: {
        "texts": request.texts,
        "input_type": f"search_{request.purpose}",
        "embedding_types": ["float"],
    },
    dimensions="output_dimension",
    vectors=lambda sent: sent["embeddings"]["float"],
)
_MAKERS: Mapping[str, _Maker] = {"amazon.titan-embed-text": _TITAN, "cohere.embed": _COHERE}
"""By what is in a model's id, an inference profile's (``us.cohere.embed-v4:0``) or an ARN."""


class BedrockEmbeddingProvider:
    """An :class:`EmbeddingModel` that asks once. Make it on the event loop that uses it.

    Raises ValueError for a model of another maker.
    """

    def __init__(self, spec: EmbeddingSpec) -> None:
        maker = next((maker for name, maker in _MAKERS.items() if name in spec.name), None)
        if maker is None:
            raise ValueError(f"embedding model {spec.name!r}: known on Bedrock are {', '.join(_MAKERS)}")
        self._name, self._maker, self.most_texts = spec.name, maker, maker.most_texts
        self._options = {} if spec.dimensions is None else {maker.dimensions: spec.dimensions}
        self._client = BedrockClient(spec)

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        asked = {
            "modelId": self._name,
            "body": json.dumps(self._maker.body(request) | self._options),
            "requestMetadata": json.dumps({IDEMPOTENCY_KEY: request.idempotency_key}),
        }
        data, counted = await self._client.made(lambda client: _read(client.invoke_model(**asked)))
        usage = Usage(input_tokens=tokens(counted))
        taken: Taken = usage if counted else "unknown"
        try:
            made = Embeddings.of(self._maker.vectors(json.loads(data)), usage)
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ModelError("malformed", "the answer is no embeddings", taken=taken) from error
        if len(made.vectors) != len(request.texts):
            given = f"{len(made.vectors)} vectors for {len(request.texts)} texts"
            raise ModelError("malformed", given, taken=taken)
        return made

    async def close(self) -> None:
        await self._client.close()


def _read(answer: Any) -> tuple[bytes, int]:
    """The body, and the tokens of the texts where they were counted."""
    counted = answer["ResponseMetadata"]["HTTPHeaders"].get(_TOKENS_HEADER, "")
    return answer["body"].read(), int(counted) if counted.isdigit() else 0
