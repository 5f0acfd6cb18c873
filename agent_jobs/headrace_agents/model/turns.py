"""When a subtask may call a model whose provider limits requests, tokens or both a minute.

The limit of requests is cut into moments of the wall clock, evenly apart, and they go round the subtasks:
each moment belongs to one of them, whoever started when. So no two have to talk, and nobody has to remember
what was called before a restart or a rescale (``docs/decisions/0027-calls-have-turns.md``).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from headrace_agents.model.tokens import Estimate, Spent, TokenShare
from headrace_agents.spec import ChatEndpointSpec, EndpointSpec

MINUTE_S = 60
USED_SHARE = 0.97
"""Of the limit: what is left is for calls that come late, and for clocks that differ."""
LATE_S = 1.0
"""So long after its moment a call may still be made; what is not used by then is lost. In a minute and this
second there are no more moments than the limit, as 61 x 0.97 is less than 60."""
_LOOK_S = 1.0
"""The longest between two looks at the clock, which may be put right meanwhile."""


class Moments:
    """Those of one subtask; it has none that began before it did, as another may have used those.

    ``clock`` gives seconds since the epoch.
    """

    def __init__(
        self,
        requests_per_minute: int,
        subtask: int,
        subtasks: int,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._every_s = MINUTE_S / (requests_per_minute * USED_SHARE)
        self._subtask, self._subtasks = subtask, subtasks
        self._clock = clock
        self._used = math.floor(clock() / self._every_s)

    def wait_s(self, behind: int = 0) -> float:
        """Until the next one that so many others leave; 0 or less where there is one now."""
        return (self._next() + behind * self._subtasks) * self._every_s - self._clock()

    def take(self) -> None:
        """The next one is used."""
        self._used = self._next()

    def _next(self) -> int:
        """The first moment of this subtask that is not used and not too long ago, by its number."""
        now = self._clock()
        begun = math.floor(now / self._every_s)
        if self._used > begun + 1:
            # The clock was put back: its moments come once more, as far apart as they were.
            self._used = begun
        not_late = math.floor((now - LATE_S) / self._every_s)
        at = max(self._used, not_late) + 1
        return at + (self._subtask - at) % self._subtasks


class Turns:
    """Of one subtask. A call is made when there is a moment and its tokens have come, and takes both at once:
    nothing is used up by waiting for the other.
    """

    def __init__(self, moments: Moments | None = None, tokens: TokenShare | None = None) -> None:
        self.tokens = tokens
        self._moments = moments
        self._first = asyncio.Lock()

    async def wait(
        self, estimate: Estimate | None = None, waits: Callable[[], None] = lambda: None
    ) -> Spent | None:
        """Returns when a call may be made, in the order of asking; one that is cancelled takes no turn.

        ``waits`` is called where it has to wait.
        """
        async with self._first:
            while (wait_s := self.wait_s(estimate)) > 0:
                waits()
                await asyncio.sleep(min(wait_s, _LOOK_S))
            if self._moments is not None:
                self._moments.take()
            return None if self.tokens is None or estimate is None else self.tokens.take(estimate)

    def wait_s(self, estimate: Estimate | None = None, *, behind: int = 0) -> float:
        """How long a call would wait behind so many of its kind, in seconds."""
        wait_s = 0.0 if self._moments is None else self._moments.wait_s(behind)
        if self.tokens is None or estimate is None:
            return wait_s
        return max(wait_s, self.tokens.wait_s(estimate, behind))


def turns_of(model: EndpointSpec, subtask: int, subtasks: int) -> Turns | None:
    """None where nothing is limited."""
    requests = model.requests_per_minute
    tokens = model.tokens_per_minute if isinstance(model, ChatEndpointSpec) else None
    if requests is None and tokens is None:
        return None
    return Turns(
        None if requests is None else Moments(requests, subtask, subtasks),
        None if tokens is None else TokenShare(tokens, subtasks),
    )
