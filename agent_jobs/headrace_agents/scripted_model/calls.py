"""What was called: a line a call in a file, and counters in memory."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headrace_agents.scripted_model.wire import Usage

CLIENT_CLOSED_REQUEST = 499
"""Status, as nginx logs it, of a call whose client went away (or that was cut by the server's stop)."""
_LISTED_KEYS = 100


@dataclass(slots=True)
class Call:
    """One request to ``/v1/chat/completions`` or ``/v1/embeddings``, filled in while it is
    served; the log's line.

    ``attempt`` counts the calls with this idempotency key from 1 (calls without a key count together).
    ``outcome`` is answered, malformed, garbled, declined, spoilt, error, hung, abandoned (the client left
    before the answer), rate_limited or refused. Tokens are null unless there was an answer.
    """

    received_at_ms: int
    idempotency_key: str | None
    attempt: int
    model: str | None = None
    outcome: str = "refused"
    status: int = 500
    latency_ms: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def used(self, usage: Usage) -> None:
        self.prompt_tokens = usage.prompt_tokens
        self.completion_tokens = usage.completion_tokens


class CallLog:
    """Appends to ``path`` and counts. A call's line is in the file before its answer leaves.

    Raises:
        OSError: when the file can't be opened.
    """

    def __init__(self, path: Path) -> None:
        # Unbuffered: one write a line, whole and visible at once, for tests that read it right away.
        self._file = path.open("ab", buffering=0)
        self._open: Counter[str] = Counter()
        self.forget()

    def forget(self) -> None:
        """Counters and attempts start again; the file stays as it is."""
        self._statuses: Counter[int] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._attempts: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()

    def begin(self, idempotency_key: str | None, received_at_ms: int) -> Call:
        counted = idempotency_key or ""
        self._open[counted] += 1
        self._attempts[counted] += 1
        return Call(received_at_ms, idempotency_key, self._attempts[counted])

    def end(self, call: Call) -> None:
        self._open -= Counter([call.idempotency_key or ""])
        self._statuses[call.status] += 1
        self._outcomes[call.outcome] += 1
        if call.status == 200 and call.idempotency_key:
            self._answers[call.idempotency_key] += 1
        self._file.write(json.dumps(asdict(call)).encode() + b"\n")

    def close(self) -> None:
        self._file.close()

    def summary(self) -> dict[str, Any]:
        """The body of ``GET /calls``: ``answered_twice`` are the keys whose answer was paid for again,
        ``open_keys`` those of calls in flight."""
        keyed = {key: calls for key, calls in self._attempts.items() if key}
        return {
            "finished": self._statuses.total(),
            "in_flight": self._open.total(),
            "open_keys": sorted(filter(None, self._open))[:_LISTED_KEYS],
            "by_status": {str(status): count for status, count in sorted(self._statuses.items())},
            "by_outcome": dict(sorted(self._outcomes.items())),
            "without_key": self._attempts[""],
            "keys": len(keyed),
            "repeated_keys": _repeated(keyed),
            "answered_twice": _repeated(self._answers),
        }


def _repeated(counts: dict[str, int]) -> dict[str, Any]:
    """How many keys have a count above 1, how many calls too many that is, and the worst of them."""
    repeated = Counter({key: count for key, count in counts.items() if count > 1})
    return {
        "keys": len(repeated),
        "surplus_calls": repeated.total() - len(repeated),
        "most": dict(repeated.most_common(_LISTED_KEYS)),
    }
