"""A chain of endpoints: where one has failed in a way that goes on, the next is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace_agents.chat import ChatModel, ChatRequest, Completion, ModelError
from headrace_agents.consequences import Consequences, goes_on
from headrace_agents.figures import counter


@dataclass(slots=True)
class ChainFigures:
    """Of the chain of endpoints."""

    calls_fallen_back: int = counter(
        "Calls that went to the next endpoint; one that goes two further counts twice."
    )


class Chain:
    """A :class:`ChatModel` over others, which are closed with it. Raises what the last one asked raised."""

    def __init__(
        self, models: Sequence[ChatModel], consequences: Consequences, figures: ChainFigures | None = None
    ) -> None:
        self.figures = figures or ChainFigures()
        self._models = models
        self._consequences = consequences

    async def complete(self, request: ChatRequest) -> Completion:
        *others, last = self._models
        for model in others:
            try:
                return await model.complete(request)
            except ModelError as error:
                if not goes_on(self._consequences[error.kind]):
                    raise
                self.figures.calls_fallen_back += 1
        return await last.complete(request)

    async def close(self) -> None:
        for model in self._models:
            await model.close()
