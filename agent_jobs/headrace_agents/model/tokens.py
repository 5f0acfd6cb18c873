"""A subtask's share of a provider's limit in tokens a minute.

Tokens come evenly, each subtask its share; a call is made when all that it is estimated to take has come
(``docs/decisions/0032-one-line-of-calls.md``).
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from headrace_agents.chat import ChatRequest, Usage

MINUTE_S = 60
USED_SHARE = 0.97
"""Of the limit: the rate at which tokens come."""
LATE_S = 1.0
"""So long tokens are kept beyond what a call needs; what is not used by then is lost."""
QUIET_S = 6.0
"""After a start no tokens come for so long, a tenth of a minute: the last calls of the subtasks before, which
had gathered theirs, are within the same minute."""
BYTES_PER_TOKEN = 3
"""Until the endpoint has counted some: English text has about 4 (OpenAI's rule of thumb), JSON fewer."""
FIRST_OUTPUT_TOKENS = 256
"""Of an answer, until there was one."""
_REMEMBERED = 16
"""Answers that the running estimates are the mean of, the older ones less and less."""


@dataclass(slots=True)
class Spent:
    """One call's tokens: as estimated, then as the endpoint counted them."""

    at: float
    tokens: int
    request_bytes: int


@dataclass(slots=True, frozen=True)
class Estimate:
    tokens: int
    request_bytes: int


class TokenShare:
    """Never more than its share in any 60 s, by what is known of each call; a call that needs more than the
    whole share is made when the minute before it is empty.

    Input is estimated by the request's bytes and output by a running mean, at most ``max_output_tokens``;
    both are learned from what the endpoint counts, and what was wrong is added to or taken from what comes.
    """

    def __init__(
        self, tokens_per_minute: int, subtasks: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._share = tokens_per_minute / subtasks
        self._per_s = self._share * USED_SHARE / MINUTE_S
        self._clock = clock
        self._used_until = clock() + QUIET_S
        """Tokens that came before are used, or lost."""
        self._minute: deque[Spent] = deque()
        self._in_minute = 0
        self._answers = 0
        self._per_byte = 1 / BYTES_PER_TOKEN
        self._output = float(FIRST_OUTPUT_TOKENS)

    def estimate(self, request: ChatRequest) -> Estimate:
        size = len(request.inputs())
        output = min(self._output, request.max_output_tokens or math.inf)
        return Estimate(max(1, math.ceil(size * self._per_byte + output)), size)

    def wait_s(self, estimate: Estimate, behind: int = 0) -> float:
        """Until the call may be made, behind so many that take as much; 0 or less for now."""
        now = self._clock()
        self._forget(now)
        at = self._used_until + (behind + 1) * estimate.tokens / self._per_s
        too_many = self._in_minute + min(estimate.tokens, self._share) - self._share
        for spent in self._minute:
            if too_many <= 0:
                break
            too_many -= spent.tokens
            at = max(at, spent.at + MINUTE_S)
        return at - now

    def take(self, estimate: Estimate) -> Spent:
        """The call is made now."""
        now, takes_s = self._clock(), estimate.tokens / self._per_s
        self._used_until = max(self._used_until, now - takes_s - LATE_S) + takes_s
        spent = Spent(now, estimate.tokens, estimate.request_bytes)
        self._minute.append(spent)
        self._in_minute += spent.tokens
        return spent

    def counted(self, spent: Spent, usage: Usage) -> None:
        """What the endpoint counted; where it counts nothing, the estimate stands."""
        if not usage.total_tokens:
            return
        more = usage.total_tokens - spent.tokens
        self._used_until += more / self._per_s
        if self._minute and spent.at >= self._minute[0].at:
            self._in_minute += more
        spent.tokens = usage.total_tokens
        self._answers = min(_REMEMBERED, self._answers + 1)
        self._per_byte += (usage.input_tokens / spent.request_bytes - self._per_byte) / self._answers
        self._output += (usage.output_tokens - self._output) / self._answers

    def _forget(self, now: float) -> None:
        while self._minute and self._minute[0].at <= now - MINUTE_S:
            self._in_minute -= self._minute.popleft().tokens
