"""The stack's scripted model, as a test sees it: its faults, and what it was paid for."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx

from headrace.local.context import HOST
from tests.pipeline.stack import LiveStack

TIMEOUT_S = 10


@dataclass(frozen=True)
class Answer:
    """A call that was answered, which is what is paid for; milliseconds since the epoch."""

    received_at_ms: int
    answered_at_ms: int


class Received(NamedTuple):
    """A call, whatever became of it."""

    at_ms: int
    """Since the epoch."""
    latency_ms: float
    outcome: str


@dataclass(frozen=True)
class ScriptedModel:
    stack: LiveStack

    @contextmanager
    def behaving(self, **settings: Any) -> Iterator[None]:
        """Settings while the block runs; then it answers at once again."""
        self._put(settings)
        try:
            yield
        finally:
            self._put({})

    def calls(self) -> dict[str, Any]:
        """What it counted since it started."""
        return dict(httpx.get(f"{self._url}/calls", timeout=TIMEOUT_S, trust_env=False).json())

    def received(self, since_ms: int = 0) -> list[Received]:
        """Every call that is over, in the order of their coming."""
        return sorted(
            Received(call["received_at_ms"], call["latency_ms"], call["outcome"])
            for call in self._log()
            if call["received_at_ms"] >= since_ms
        )

    def keys(self, outcome: str) -> set[str]:
        """Idempotency keys of the calls that ended so."""
        return {call["idempotency_key"] for call in self._log() if call["outcome"] == outcome}

    def answers(self) -> dict[str, list[Answer]]:
        """Every answered call by its idempotency key, in the order of their end."""
        found: dict[str, list[Answer]] = defaultdict(list)
        for call in self._log():
            if call["outcome"] == "answered" and call["idempotency_key"]:
                received = call["received_at_ms"]
                found[call["idempotency_key"]].append(Answer(received, received + int(call["latency_ms"])))
        return found

    def paid_twice(self) -> int:
        """Answers beyond the first of a call."""
        return sum(len(answers) - 1 for answers in self.answers().values())

    def _log(self) -> Iterator[dict[str, Any]]:
        for line in (self.stack.files.root / "log" / "model-calls.jsonl").read_text().splitlines():
            yield json.loads(line)

    @property
    def _url(self) -> str:
        return f"http://{HOST}:{self.stack.plan.ports.scripted_model}"

    def _put(self, settings: dict[str, Any]) -> None:
        answer = httpx.put(f"{self._url}/settings", json=settings, timeout=TIMEOUT_S, trust_env=False)
        assert answer.is_success, answer.text
