"""What ``ctx.embed`` does: vectors of texts, every call to the model a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from headrace_agents.chat import Caller, CallReport, ModelError
from headrace_agents.embedding import EmbeddingModel, EmbeddingRequest, Embeddings, Purpose
from headrace_agents.step_protocol import Steps
from headrace_agents.together import together


class RunEmbedding:
    """The embedding model as one run sees it."""

    def __init__(
        self,
        model: EmbeddingModel | None,
        steps: Steps,
        caller: Caller | None = None,
        *,
        redact: Callable[[str], str] | None = None,
    ) -> None:
        self._model = model
        self._steps = steps
        self._caller = caller
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
        report = CallReport()

        async def execute(idempotency_key: str) -> bytes:
            asked = replace(request, idempotency_key=idempotency_key, caller=self._caller, report=report)
            return (await model.embed(asked)).encode()

        def about() -> dict[str, Any]:
            return asdict(report)

        data = await self._steps.run(name, request.inputs(), execute, kind="model", about=about)
        return Embeddings.decode(data)
