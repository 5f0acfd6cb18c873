"""When a subtask may call a model whose provider limits the requests a minute.

The limit is cut into moments of the wall clock, evenly apart, and they go round the subtasks: each moment
belongs to one of them, whoever started when. So no two have to talk, and nobody has to remember what was
called before a restart or a rescale (``docs/decisions/0027-calls-have-turns.md``).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

MINUTE_S = 60
USED_SHARE = 0.97
"""Of the limit: what is left is for calls that come late, and for clocks that differ."""
LATE_S = 1.0
"""So long after its moment a call may still be made; what is not used by then is lost. In a minute and this
second there are no more moments than the limit, as 61 x 0.97 is less than 60."""
_LOOK_S = 1.0
"""The longest between two looks at the clock, which may be put right meanwhile."""


class Turns:
    """The moments of one subtask; it has none that began before it did, as another may have used those.

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
        self._first = asyncio.Lock()
        self._waiting = 0

    async def wait(self) -> None:
        """Returns when a call may be made, in the order of asking; one that is cancelled takes no turn."""
        self._waiting += 1
        try:
            async with self._first:
                while (wait_s := self._next() * self._every_s - self._clock()) > 0:  # noqa: ASYNC110 - of the clock
                    await asyncio.sleep(min(wait_s, _LOOK_S))
                self._used = self._next()
        finally:
            self._waiting -= 1

    def wait_s(self) -> float:
        """How long a call would wait that asked now, in seconds."""
        turn = self._next() + self._waiting * self._subtasks
        return max(0.0, turn * self._every_s - self._clock())

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


def turns_of(requests_per_minute: int | None, subtask: int, subtasks: int) -> Turns | None:
    """None where nothing is limited."""
    return None if requests_per_minute is None else Turns(requests_per_minute, subtask, subtasks)
