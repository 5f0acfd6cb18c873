"""A hedge: a second attempt beside one that takes long; the first answer wins, and the other attempt ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

R = TypeVar("R")


class Attempted(Protocol):
    """A call."""

    @property
    def made(self) -> int:
        """Attempts that went out."""


async def hedged(
    call: Attempted,
    first: asyncio.Task[R],
    hedge: Callable[[], Coroutine[Any, Any, R]],
    may_hedge: Callable[[], bool],
    after_s: float,
) -> R:
    """What ``first`` gave, or the hedge that is made ``after_s`` later where it ``may_hedge`` by then.

    A hedge that failed, or did not go out, changes nothing; one that is out is waited for where the first
    fails.
    """
    racing = {first}
    try:
        await asyncio.wait(racing, timeout=after_s)
        if first.done() or not may_hedge():
            return await first
        other = asyncio.create_task(hedge())
        racing.add(other)
        return await _first_answer(call, first, other)
    finally:
        for each in racing:
            each.cancel()
        await asyncio.gather(*racing, return_exceptions=True)


async def _first_answer(call: Attempted, first: asyncio.Task[R], hedge: asyncio.Task[R]) -> R:
    made = call.made
    await asyncio.wait((first, hedge), return_when=asyncio.FIRST_COMPLETED)
    if hedge.done() and hedge.exception() is None:
        return hedge.result()
    if first.done() and first.exception() is not None and call.made > made:
        return await hedge
    return await first
