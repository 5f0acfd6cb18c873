"""The steps of one run: what was finished before a failure is read back, never done again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from hashlib import blake2b
from typing import Any, Literal

from headrace_agents.catching_up import MissingStepError
from headrace_agents.chat import ModelError
from headrace_agents.codec import INPUT_DIGEST_BYTES, JournalEntry
from headrace_agents.run_log import StepLog
from headrace_agents.step_protocol import StepKind

WriteAhead = Literal["none", "steps", "all"]
"""Which steps are in the journal topic before the run goes on: none, all but model calls, all."""

Execute = Callable[[str], Awaitable[bytes]]
"""Does the step, given its idempotency key; returns its result as bytes."""
About = Callable[[], Mapping[str, Any]]
"""Fields of a step's log."""
WriteEntry = Callable[[JournalEntry], Awaitable[None]]
"""Returns when the entry can't be lost any more."""


_enclosing: ContextVar[str] = ContextVar("enclosing step", default="")


def _no_time() -> int:
    return 0


def _never(*_: object) -> Any:
    raise AssertionError("nothing is written ahead")


class RunSteps:
    """Steps of one run that is on its first attempt or goes on after a failure.

    ``known`` is what earlier attempts finished. Where inputs differ from theirs (other code, another
    prompt), that step and all that were not read back before it are done again, with the same keys.
    A run that ``reads_back_alone`` makes none: it ends at the first step that is not known, ``missing``.
    ``finished_one`` is called when a step has come into ``finished``; ``settled`` when one that was written
    ahead is in it, or never will be.
    """

    def __init__(  # noqa: PLR0913 - what is around a run, each by name
        self,
        known: Iterable[JournalEntry],
        idempotency_key: Callable[[str, int], str],
        write_ahead: WriteAhead = "none",
        write: WriteEntry = _never,
        settled: Callable[[], None] = _never,
        finished_one: Callable[[], None] | None = None,
        clock: Callable[[], int] = _no_time,
        *,
        reads_back_alone: bool = False,
    ) -> None:
        self._known = {(entry.name, entry.occurrence): entry for entry in known}
        self._idempotency_key = idempotency_key
        self._write = write
        self._write_ahead = write_ahead
        self._settled = settled
        self._finished_one = finished_one
        self._reads_back_alone = reads_back_alone
        self.missing: str | None = None
        self._started: Counter[str] = Counter()
        self.finished: list[JournalEntry] = []
        """In the order of their end; read by the operator's thread while the run goes on."""
        self.read_back = 0
        self.executed: Counter[StepKind] = Counter()
        self._clock = clock
        self.log: list[StepLog] = []
        """In the order of their end, those that failed too."""

    async def run(
        self, name: str, inputs: bytes, execute: Execute, *, kind: StepKind, about: About | None = None
    ) -> bytes:
        # A step inside another is known by it, too: where that is read back, it does not run at all.
        name = f"{_enclosing.get()}{name}"
        occurrence = self._started[name]
        self._started[name] += 1
        digest = blake2b(inputs, digest_size=INPUT_DIGEST_BYTES).digest()
        known = self._known.get((name, occurrence))
        if known is not None:
            if known.input_digest == digest:
                self.read_back += 1
                now = self._clock()
                self._logged(name, occurrence, kind, now, read_back=True)
                return known.result
            self._known.clear()
        if self._reads_back_alone:
            self.missing = self.missing or f"{name}#{occurrence}"
            raise MissingStepError(name)
        self.executed[kind] += 1
        began = self._clock()
        outer = _enclosing.set(f"{name}#{occurrence}/")
        try:
            result = await execute(self._idempotency_key(name, occurrence))
        except BaseException as error:
            why = error.kind if isinstance(error, ModelError) else type(error).__name__
            self._logged(name, occurrence, kind, began, about, error=why)
            raise
        finally:
            _enclosing.reset(outer)
        self._logged(name, occurrence, kind, began, about)
        entry = JournalEntry(name, occurrence, digest, result)
        if not self._is_written_ahead(kind):
            self._finish(entry)
            return result
        try:
            await self._write(entry)
            self._finish(entry)
        finally:
            self._settled()
        return result

    def _logged(
        self,
        name: str,
        occurrence: int,
        kind: StepKind,
        began: int,
        about: About | None = None,
        **how: Any,
    ) -> None:
        told = {} if about is None else about()
        self.log.append(
            StepLog(
                name=f"{name}#{occurrence}",
                kind=kind,
                started_at_ms=began,
                finished_at_ms=self._clock(),
                **how,
                **told,
            )
        )

    def _finish(self, entry: JournalEntry) -> None:
        self.finished.append(entry)
        if self._finished_one is not None:
            self._finished_one()

    def _is_written_ahead(self, kind: StepKind) -> bool:
        return self._write_ahead == "all" or (self._write_ahead == "steps" and kind != "model")
