"""What a run asks of its journal; whoever makes steps knows nothing of how they are kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol

StepKind = Literal["model", "tool", "step"]


class Steps(Protocol):
    """The steps of one run."""

    async def run(
        self,
        name: str,
        inputs: bytes,
        execute: Callable[[str], Awaitable[bytes]],
        *,
        kind: StepKind,
        about: Callable[[], Mapping[str, Any]] | None = None,
    ) -> bytes:
        """The result of the step: read back from the journal where it has the same name, occurrence and
        inputs, else made by ``execute(idempotency_key)`` and journaled before it is returned.

        ``about`` gives what the run's log has of the step beside its times, when it has ended.

        Raises what ``execute`` raises; nothing is journaled then. The occurrence is counted when the
        coroutine starts, before it first waits: tools that are called concurrently start in a fixed order.
        """
