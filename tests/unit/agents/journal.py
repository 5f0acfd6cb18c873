"""A journal in memory, and a model that says what it is told to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from headrace_agents.chat import ChatRequest, Completion, ModelError
from headrace_agents.run_model import RunModel
from headrace_agents.step_protocol import StepKind

Entry = tuple[str, int, bytes, StepKind]
"""Name, occurrence, inputs and kind of a step."""


class Journal:
    """The steps of one run; hand its entries to another one, and the run was run again."""

    def __init__(self, entries: dict[Entry, bytes] | None = None) -> None:
        self.entries = {} if entries is None else entries
        self.executed: list[str] = []
        """Names of the steps that were made, not read back."""
        self._seen: Counter[str] = Counter()

    async def run(
        self,
        name: str,
        inputs: bytes,
        execute: Callable[[str], Awaitable[bytes]],
        *,
        kind: StepKind,
        about: Callable[[], Mapping[str, Any]] | None = None,
    ) -> bytes:
        occurrence = self._seen[name]
        self._seen[name] += 1
        entry = (name, occurrence, inputs, kind)
        if entry not in self.entries:
            self.executed.append(name)
            self.entries[entry] = await execute(f"{name}/{occurrence}")
        return self.entries[entry]


class Script:
    """A model that gives its answers in turn; the last one stands for all that follow."""

    def __init__(self, *answers: Completion | ModelError) -> None:
        self.answers = list(answers)
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> Completion:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, ModelError):
            raise answer
        return answer

    async def close(self) -> None:
        pass

    @property
    def model(self) -> RunModel:
        """As a run that has no journal yet would see it."""
        return RunModel(self, Journal())
