"""What ``ctx.embed`` does: vectors of texts, every call to the model a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from headrace_agents.chat import ModelError
from headrace_agents.embedding import EmbeddingModel, EmbeddingRequest, Embeddings, Purpose
from headrace_agents.step_protocol import Steps
from headrace_agents.together import together


class RunEmbedding:
    """The embedding model as one run sees it."""

    def __init__(
        self,
        model: EmbeddingModel | None,
        steps: Steps,
        redact: Callable[[str], str] | None = None,
    ) -> None:
        self._model = model
        self._steps = steps
        self._redact = redact

    async def vectors(self, texts: Sequence[str], purpose: Purpose, name: str) -> list[list[float]]:
        """One for each text, in their order. As many requests as the model's bound of texts needs are made
        concurrently."""
        if self._model is None:
            raise ModelError("refused", "the agent's declaration has no embedding model")
        if self._redact is not None:
            texts = [self._redact(text) for text in texts]
        most = self._model.most_texts
        requests = [
            EmbeddingRequest(tuple(texts[at : at + most]), "", purpose) for at in range(0, len(texts), most)
        ]
        made = await together([self._embedded(self._model, name, request) for request in requests])
        return [list(vector) for each in made for vector in each.vectors]

    async def _embedded(self, model: EmbeddingModel, name: str, request: EmbeddingRequest) -> Embeddings:
        async def execute(idempotency_key: str) -> bytes:
            return (await model.embed(replace(request, idempotency_key=idempotency_key))).encode()

        return Embeddings.decode(await self._steps.run(name, request.inputs(), execute, kind="model"))
